// A question, as it was typed. A long one, such as a file that was attached, is folded.

import { useState } from "preact/hooks";
import { t } from "../texts";
import { PlainText } from "./plain-text";

/** Lines, and characters, of a question that stay in sight. */
const LINES = 14;
const CHARACTERS = 1200;

export function QuestionText({ text }: { text: string }) {
    const [whole, setWhole] = useState(false);
    const short = cut(text);
    if (short === text) return <div class="text question">{text}</div>;
    return (
        <div class="text question">
            {whole ? <PlainText text={text} /> : `${short}…`}
            <button type="button" class="fold" onClick={() => setWhole(!whole)}>{whole ? t.showLess : t.showAll}</button>
        </div>
    );
}

function cut(text: string): string {
    let end = -1;
    for (let line = 0; line < LINES; line++) {
        end = text.indexOf("\n", end + 1);
        if (end < 0) break;
    }
    const short = end < 0 ? text : text.slice(0, end);
    return short.length > CHARACTERS ? short.slice(0, CHARACTERS) : short;
}
