// The line above a conversation: its name, its model, and what can be done with the whole of it.

import { useEffect, useRef, useState } from "preact/hooks";
import { asJson, asJsonLines, asMarkdown } from "../saved/write";
import { app, useApp } from "../state/app";
import { t } from "../texts";
import { AskText, Sure } from "./dialog";
import { Icon, IconButton } from "./icons";
import { saveFile } from "./save-file";
import { titleOf } from "./list";

export function Header(props: { list: boolean; onList: () => void; onSettings: () => void }) {
    const { current } = useApp();
    const [menu, setMenu] = useState(false);
    const [dialog, setDialog] = useState<"rename" | "remove" | null>(null);
    const frame = useRef<HTMLDivElement>(null);

    useEffect(() => {
        if (!menu) return;
        frame.current?.querySelector<HTMLButtonElement>("[role=menuitem]")?.focus();
        const close = (event: Event) => {
            if (!frame.current?.contains(event.target as Node)) setMenu(false);
        };
        document.addEventListener("pointerdown", close);
        return () => document.removeEventListener("pointerdown", close);
    }, [menu]);

    const keys = (event: KeyboardEvent) => {
        const items = [...(frame.current?.querySelectorAll<HTMLButtonElement>("[role=menuitem]") ?? [])];
        const at = items.indexOf(document.activeElement as HTMLButtonElement);
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step && menu) {
            event.preventDefault();
            items.at((at + step) % items.length)?.focus();
        } else if (event.key === "Escape" && menu) {
            event.preventDefault();
            setMenu(false);
            frame.current?.querySelector("button")?.focus();
        }
    };
    const item = (text: string, act: () => void) => (
        <button type="button" role="menuitem" onClick={() => (setMenu(false), act())}>{text}</button>
    );
    const out = (extension: string, type: string, text: () => string) => () =>
        saveFile(`${current.id}.${extension}`, type, text());
    const { messages } = app.state;

    return (
        <header class="bar">
            <IconButton icon="list" label={props.list ? t.closeList : t.openList} onClick={props.onList} expanded={props.list} />
            <h1 title={titleOf(current)}>{current.leaf ? titleOf(current) : t.newConversation}</h1>
            <button type="button" class="model" onClick={props.onSettings}>{current.model || t.settings}</button>
            <IconButton icon="settings" label={t.settings} onClick={props.onSettings} />
            <div class="menu-frame" ref={frame} onKeyDown={keys}>
                <button type="button" class="icon-button" aria-label={t.actions} title={t.actions} aria-haspopup="menu" aria-expanded={menu} onClick={() => setMenu(!menu)}>
                    <Icon name="dots" />
                </button>
                {menu && (
                    <div class="menu" role="menu" aria-label={t.actions}>
                        {item(t.newConversation, () => void app.openNew())}
                        {current.leaf !== null && item(t.rename, () => setDialog("rename"))}
                        {current.leaf !== null && item(t.exportMarkdown, out("md", "text/markdown", () => asMarkdown(current, messages)))}
                        {current.leaf !== null && item(t.exportJson, out("json", "application/json", () => `${JSON.stringify(asJson(current, messages), null, 2)}\n`))}
                        {current.leaf !== null && item(t.exportJsonl, out("jsonl", "application/jsonl", () => asJsonLines(current, messages)))}
                        {current.leaf !== null && item(t.remove, () => setDialog("remove"))}
                    </div>
                )}
            </div>
            {dialog === "rename" && (
                <AskText title={t.rename} label={t.name} value={titleOf(current)} onSave={(name) => app.rename(current.id, name)} onClose={() => setDialog(null)} />
            )}
            {dialog === "remove" && (
                <Sure question={t.removeSure(titleOf(current))} yes={t.removeYes} onYes={() => (setDialog(null), void app.remove(current.id))} onClose={() => setDialog(null)} />
            )}
        </header>
    );
}
