// Where one writes. What is written is kept with its conversation before it is sent.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { app, useApp } from "../state/app";
import { t } from "../texts";
import { readText, withFiles } from "./attach";
import { sends } from "./enter";
import { grow } from "./grow";
import { IconButton } from "./icons";

/** After so many milliseconds without a key, and when the page is left, the draft is kept. */
const KEEP_AFTER = 300;

export function Composer() {
    const { current } = useApp();
    const area = useRef<HTMLTextAreaElement>(null);
    const picker = useRef<HTMLInputElement>(null);
    const timer = useRef(0);
    const [empty, setEmpty] = useState(current.draft.trim() === "");
    const [over, setOver] = useState(false);
    const busy = app.isAnswering();
    const id = current.id;

    const keep = () => {
        clearTimeout(timer.current);
        timer.current = 0;
        const draft = area.current?.value ?? "";
        if (app.state.current.id === id && draft !== app.state.current.draft) app.change({ draft });
    };
    /** The database may not be reached any more when the page is left; what is put here is there at once. */
    const keepNow = () => {
        if (!timer.current) return;
        keep();
        app.leaveDraft();
    };
    useLayoutEffect(() => {
        const { current: box } = area;
        if (!box) return;
        grow(box);
        if (matchMedia("(hover: hover)").matches) box.focus();
        addEventListener("pagehide", keepNow);
        document.addEventListener("visibilitychange", keepNow);
        return () => {
            if (timer.current) keep();
            removeEventListener("pagehide", keepNow);
            document.removeEventListener("visibilitychange", keepNow);
        };
    }, []);

    const send = () => {
        const box = area.current!;
        const text = withFiles(box.value.trim(), app.state.current.files);
        if (text === "" || app.isAnswering()) return;
        clearTimeout(timer.current);
        timer.current = 0;
        box.value = "";
        grow(box);
        setEmpty(true);
        app.ask(text);
    };
    const typed = () => {
        grow(area.current!);
        setEmpty(area.current!.value.trim() === "");
        clearTimeout(timer.current);
        timer.current = window.setTimeout(keep, KEEP_AFTER);
    };
    const keys = (event: KeyboardEvent) => {
        if (sends(event)) {
            event.preventDefault();
            send();
        } else if (event.key === "ArrowUp" && area.current?.value === "" && !event.isComposing) {
            const questions = document.querySelectorAll(".message.user");
            const edit = questions[questions.length - 1]?.querySelector<HTMLButtonElement>(`[aria-label="${t.editQuestion}"]`);
            if (edit && !edit.disabled) {
                event.preventDefault();
                edit.click();
            }
        }
    };
    const attach = async (files: Iterable<File>) => {
        const said: string[] = [];
        for (const file of files) {
            try {
                const read = await readText(file);
                app.change({ files: [...app.state.current.files, read] });
            } catch (error) {
                said.push((error as Error).message);
            }
        }
        if (said.length > 0) app.notify(said.join(" "));
        area.current?.focus();
    };
    const drop = (event: DragEvent) => {
        setOver(false);
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        void attach([...event.dataTransfer.files]);
    };
    const paste = (event: ClipboardEvent) => {
        if (!event.clipboardData?.files.length) return;
        event.preventDefault();
        void attach([...event.clipboardData.files]);
    };

    return (
        <form
            class={over ? "composer over" : "composer"}
            onSubmit={(event) => (event.preventDefault(), send())}
            onDragOver={(event) => (event.preventDefault(), setOver(true))}
            onDragLeave={() => setOver(false)}
            onDrop={drop}
        >
            <div class="column">
                {current.files.length > 0 && (
                    <ul class="files">
                        {current.files.map((file, i) => (
                            <li key={i}>
                                {file.name} <small>{t.bytes(new Blob([file.text]).size)}</small>
                                <IconButton icon="close" label={t.detach(file.name)} onClick={() => app.change({ files: current.files.filter((_, at) => at !== i) })} />
                            </li>
                        ))}
                    </ul>
                )}
                <div class="box">
                    <IconButton icon="attach" label={t.attach} onClick={() => picker.current?.click()} />
                    <input
                        ref={picker}
                        type="file"
                        class="off-screen"
                        tabIndex={-1}
                        aria-label={t.attach}
                        multiple
                        onChange={(event) => {
                            const files = [...(event.currentTarget.files ?? [])];
                            event.currentTarget.value = "";
                            void attach(files);
                        }}
                    />
                    <textarea
                        ref={area}
                        id="message"
                        rows={1}
                        defaultValue={current.draft}
                        placeholder={over ? t.dropHere : t.placeholder}
                        aria-label={t.message}
                        onInput={typed}
                        onKeyDown={keys}
                        onPaste={paste}
                    />
                    {busy ? (
                        <IconButton icon="stop" label={t.stop} class="primary" onClick={() => app.stop()} />
                    ) : (
                        <IconButton icon="send" label={t.send} class="primary" disabled={empty && current.files.length === 0} onClick={send} />
                    )}
                </div>
                <p class="hint">
                    <span class="on-desktop">{t.hintDesktop}</span>
                    <span class="on-phone">{t.hintPhone}</span>
                </p>
            </div>
        </form>
    );
}
