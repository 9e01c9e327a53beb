// A dialog of the browser's own: it keeps the focus, and Escape closes it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../texts";
import { IconButton } from "./icons";

export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; class?: string }) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        const opener = document.activeElement as HTMLElement | null;
        dialog.current?.showModal();
        return () => opener?.focus?.();
    }, []);
    return (
        <dialog
            ref={dialog}
            class={props.class}
            aria-label={props.title}
            onClose={props.onClose}
            onClick={(event) => event.target === dialog.current && props.onClose()}
        >
            <div class="dialog">
                <header>
                    <h2>{props.title}</h2>
                    <IconButton icon="close" label={t.close} onClick={props.onClose} />
                </header>
                {props.children}
            </div>
        </dialog>
    );
}

/** A question before something that cannot be undone. */
export function Sure(props: { question: string; yes: string; onYes: () => void; onClose: () => void }) {
    return (
        <Dialog title={props.yes} onClose={props.onClose} class="small">
            <p>{props.question}</p>
            <div class="buttons">
                <button type="button" onClick={props.onClose}>{t.cancel}</button>
                <button type="button" class="primary" onClick={props.onYes}>{props.yes}</button>
            </div>
        </Dialog>
    );
}

/** One line of text. */
export function AskText(props: { title: string; label: string; value: string; onSave: (text: string) => void; onClose: () => void }) {
    const input = useRef<HTMLInputElement>(null);
    const save = (event: Event) => {
        event.preventDefault();
        props.onSave(input.current?.value ?? "");
        props.onClose();
    };
    return (
        <Dialog title={props.title} onClose={props.onClose} class="small">
            <form onSubmit={save}>
                <label class="field">
                    {props.label}
                    <input ref={input} defaultValue={props.value} maxLength={200} autofocus />
                </label>
                <div class="buttons">
                    <button type="button" onClick={props.onClose}>{t.cancel}</button>
                    <button type="submit" class="primary">{t.save}</button>
                </div>
            </form>
        </Dialog>
    );
}
