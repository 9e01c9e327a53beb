// The list of conversations: search, rename and delete, files in and out, and how the page looks.

import { useEffect, useRef, useState } from "preact/hooks";
import { asJson } from "../saved/write";
import { app, useApp } from "../state/app";
import type { Conversation } from "../state/types";
import { chosenLanguage, t } from "../texts";
import { AskText, Sure } from "./dialog";
import { IconButton } from "./icons";
import { saveFile } from "./save-file";
import { theme, type Theme } from "./theme";

/** The name of a conversation, or what it began with. */
export function titleOf({ name, first }: Conversation): string {
    return name ?? (first.replace(/\s+/g, " ").trim().slice(0, 80) || t.untitled);
}

export function List(props: { onChosen: () => void; onClose: () => void; onKeys: () => void }) {
    const { conversations, current } = useApp();
    const [words, setWords] = useState("");
    const found = useSearch(words, conversations);
    const [renamed, setRenamed] = useState<Conversation | null>(null);
    const [removed, setRemoved] = useState<Conversation | null>(null);
    const listed = found ? conversations.filter(({ id }) => found.has(id)) : conversations;

    return (
        <aside class="list" id="list" aria-label={t.conversations}>
            <div class="list-head">
                <button type="button" class="new" onClick={() => (props.onChosen(), void app.openNew())}>{t.newConversation}</button>
                <IconButton icon="close" label={t.closeList} onClick={props.onClose} />
            </div>
            <input id="search" type="search" placeholder={t.search} aria-label={t.search} value={words} onInput={(event) => setWords(event.currentTarget.value)} />
            <nav aria-label={t.conversations}>
                {listed.length === 0 && <p class="none">{words.trim() ? t.searchNone : t.listEmpty}</p>}
                <ul>
                    {listed.map((conversation) => (
                        <li key={conversation.id} class={conversation.id === current.id ? "current" : ""}>
                            <button type="button" class="open" aria-current={conversation.id === current.id ? "true" : undefined} onClick={() => (props.onChosen(), void app.open(conversation.id))}>
                                {titleOf(conversation)}
                            </button>
                            <IconButton icon="edit" label={`${t.rename}: ${titleOf(conversation)}`} onClick={() => setRenamed(conversation)} />
                            <IconButton icon="close" label={`${t.remove}: ${titleOf(conversation)}`} onClick={() => setRemoved(conversation)} />
                        </li>
                    ))}
                </ul>
            </nav>
            <Foot onKeys={props.onKeys} />
            {renamed && (
                <AskText title={t.rename} label={t.name} value={titleOf(renamed)} onSave={(name) => app.rename(renamed.id, name)} onClose={() => setRenamed(null)} />
            )}
            {removed && (
                <Sure question={t.removeSure(titleOf(removed))} yes={t.removeYes} onYes={() => (setRemoved(null), void app.remove(removed.id))} onClose={() => setRemoved(null)} />
            )}
        </aside>
    );
}

/** Ids of the conversations that have the words, or null where there are none to look for. */
function useSearch(words: string, conversations: Conversation[]): Set<string> | null {
    const [found, setFound] = useState<Set<string> | null>(null);
    useEffect(() => {
        if (!words.trim()) return setFound(null);
        let current = true;
        const timer = setTimeout(() => void app.search(words.trim()).then((ids) => current && setFound(ids)), 150);
        return () => {
            current = false;
            clearTimeout(timer);
        };
    }, [words, conversations]);
    return words.trim() ? found : null;
}

function Foot({ onKeys }: { onKeys: () => void }) {
    const input = useRef<HTMLInputElement>(null);
    const exportAll = async () => {
        const all = [];
        for (const conversation of app.state.conversations) all.push(asJson(conversation, await app.messagesOf(conversation.id)));
        saveFile("sai.json", "application/json", `${JSON.stringify(all, null, 2)}\n`);
    };
    const speak = (language: string) => {
        if (language === "auto") localStorage.removeItem("language");
        else localStorage.setItem("language", language);
        location.reload();
    };
    return (
        <div class="list-foot">
            <div class="buttons">
                <button type="button" onClick={() => input.current?.click()}>{t.importFile}</button>
                <button type="button" onClick={() => void exportAll()}>{t.exportAll}</button>
                <button type="button" onClick={onKeys}>{t.keys}</button>
            </div>
            <input
                ref={input}
                type="file"
                class="off-screen"
                tabIndex={-1}
                aria-label={t.importFile}
                accept=".json,.jsonl,.md,.markdown"
                multiple
                onChange={(event) => {
                    const files = [...(event.currentTarget.files ?? [])];
                    event.currentTarget.value = "";
                    void app.importFiles(files);
                }}
            />
            <label>
                {t.theme}
                <select value={theme.get()} onChange={(event) => theme.set(event.currentTarget.value as Theme)}>
                    {Object.entries(t.themes).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
                </select>
            </label>
            <label>
                {t.language}
                <select value={chosenLanguage() ?? "auto"} onChange={(event) => speak(event.currentTarget.value)}>
                    <option value="auto">{t.languageAuto}</option>
                    <option value="ko">한국어</option>
                    <option value="en">English</option>
                </select>
            </label>
        </div>
    );
}
