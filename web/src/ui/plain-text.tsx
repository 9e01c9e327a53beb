// Text without Markdown, however long: a part at a time, so that ten megabytes do not stop the page.

import { useState } from "preact/hooks";
import { t } from "../texts";

/** Characters of an element, of which only those in sight are laid out; and of what is shown at once. */
const PART = 8_000;
const SHOWN = 100_000;

export function PlainText({ text }: { text: string }) {
    const [shown, setShown] = useState(SHOWN);
    const parts = [];
    for (let at = 0; at < Math.min(shown, text.length); at = next(text, at)) parts.push(text.slice(at, next(text, at)));
    const end = parts.reduce((sum, part) => sum + part.length, 0);
    return (
        <>
            {parts.map((part, i) => <div key={i} class="plain">{part}</div>)}
            {end < text.length && (
                <button type="button" class="fold" onClick={() => setShown(shown + SHOWN)}>{t.more(t.bytes(text.length - end))}</button>
            )}
        </>
    );
}

/** Where the part that begins at `at` ends: not within a character. */
function next(text: string, at: number): number {
    const end = Math.min(at + PART, text.length);
    const code = text.charCodeAt(end - 1);
    return end < text.length && code >= 0xd800 && code < 0xdc00 ? end - 1 : end;
}
