// A message in other words. What was there stays, as the branch beside it.

import { useLayoutEffect, useRef } from "preact/hooks";
import { app } from "../state/app";
import type { Message } from "../state/types";
import { t } from "../texts";
import { sends } from "./enter";
import { grow } from "./grow";

export function Edit({ message, busy, onDone }: { message: Message; busy: boolean; onDone: () => void }) {
    const area = useRef<HTMLTextAreaElement>(null);
    const isQuestion = message.role === "user";
    useLayoutEffect(() => {
        const { current } = area;
        if (!current) return;
        grow(current);
        current.focus();
        current.setSelectionRange(current.value.length, current.value.length);
    }, []);

    const done = (act: (text: string) => void) => () => {
        const text = area.current?.value ?? "";
        if (text.trim() === "" || busy) return;
        onDone();
        act(text);
    };
    const ask = done((text) => app.editAndAsk(message, text));
    const keep = done((text) => text !== message.content && app.editAndKeep(message, text));
    const goOn = done((text) => app.answer(message.parent!, text));
    const keys = (event: KeyboardEvent) => {
        if (event.key === "Escape" && !event.isComposing) {
            event.preventDefault();
            onDone();
        } else if (isQuestion && sends(event)) {
            event.preventDefault();
            ask();
        }
    };
    return (
        <div class="edit">
            <textarea ref={area} defaultValue={message.content} aria-label={isQuestion ? t.editQuestion : t.editAnswer} onInput={(event) => grow(event.currentTarget)} onKeyDown={keys} />
            <div class="buttons">
                <button type="button" onClick={onDone}>{t.cancel}</button>
                <button type="button" disabled={busy} onClick={keep}>{t.saveEdited}</button>
                {isQuestion ? (
                    <button type="button" class="primary" disabled={busy} onClick={ask}>{t.sendEdited}</button>
                ) : (
                    <button type="button" class="primary" disabled={busy} onClick={goOn}>{t.continueEdited}</button>
                )}
            </div>
        </div>
    );
}
