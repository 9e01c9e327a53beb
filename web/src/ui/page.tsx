// The whole page: the list of conversations beside the one that is open.

import { useEffect, useState } from "preact/hooks";
import { app, useApp } from "../state/app";
import { t } from "../texts";
import { Composer } from "./composer";
import { Header } from "./header";
import { listenForKeys } from "./keys";
import { KeyList } from "./key-list";
import { List } from "./list";
import { SettingsDialog } from "./settings";
import { Talk } from "./talk";

/** On a wide screen the list is there unless it was put away; on a narrow one only while it is asked for. */
const wide = matchMedia("(min-width: 60rem)");
const isWide = () => wide.matches;
const listAtFirst = () => isWide() && localStorage.getItem("list") !== "closed";

export function Page() {
    const state = useApp();
    const [list, setList] = useState(listAtFirst);
    const [dialog, setDialog] = useState<"settings" | "keys" | null>(null);

    const showList = (open: boolean) => {
        setList(open);
        if (isWide()) localStorage.setItem("list", open ? "open" : "closed");
    };
    useEffect(() => {
        // A window that is drawn narrow, or a phone whose width is known only now.
        const turned = () => setList(listAtFirst());
        wide.addEventListener("change", turned);
        return () => wide.removeEventListener("change", turned);
    }, []);
    useEffect(
        () =>
            listenForKeys({
                new: () => void app.openNew(),
                search: () => {
                    showList(true);
                    requestAnimationFrame(() => document.getElementById("search")?.focus());
                },
                list: () => setList((open) => (showList(!open), !open)),
                settings: () => setDialog("settings"),
                keys: () => setDialog("keys"),
                write: () => document.getElementById("message")?.focus(),
                stop: () => app.stop(),
            }),
        [],
    );
    // On a phone the list gives way to what was chosen in it.
    const chosen = () => !isWide() && setList(false);

    return (
        <div class={`page ${list ? "with-list" : ""}`}>
            <a class="skip" href="#message" onClick={(event) => (event.preventDefault(), document.getElementById("message")?.focus())}>
                {t.skip}
            </a>
            {list && <List onChosen={chosen} onClose={() => showList(false)} onKeys={() => setDialog("keys")} />}
            {list && <div class="behind" onClick={() => setList(false)} />}
            <main>
                <Header list={list} onList={() => showList(!list)} onSettings={() => setDialog("settings")} />
                <Talk key={`${state.current.id} ${state.opened}`} />
                {state.notice && (
                    <div class="notice" role="status">
                        <p>{state.notice}</p>
                        <button type="button" onClick={() => app.notify(null)}>{t.close}</button>
                    </div>
                )}
                {(state.server === "gone" || state.server === "busy") && (
                    <div class="notice warning" role="alert">
                        <p>{state.server === "gone" ? t.gone : t.busy}</p>
                    </div>
                )}
                <Composer key={state.current.id} />
            </main>
            {dialog === "settings" && <SettingsDialog onClose={() => setDialog(null)} />}
            {dialog === "keys" && <KeyList onClose={() => setDialog(null)} />}
        </div>
    );
}
