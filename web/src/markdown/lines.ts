// Lines that nobody reads: a paragraph of a hundred thousand characters is laid out anew with each one that comes.

/** A line is broken at the first blank after so many characters, or there where none follows soon. */
const LONGEST = 4000;
const AT_LAST = 4200;

/**
 * The text with breaks in its longest lines, but for those of code. What is done to a text does not change when more of it comes.
 */
export function breakLongLines(text: string): string {
    if (text.length <= LONGEST) return text;
    let out = "";
    let fence = "";
    for (let from = 0; from < text.length; ) {
        const newline = text.indexOf("\n", from);
        const end = newline < 0 ? text.length : newline + 1;
        const line = end - from > LONGEST ? "" : text.slice(from, end);
        const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
        if (mark && !fence) fence = mark;
        else if (mark && mark.startsWith(fence) && line.trim() === mark) fence = "";
        if (fence || end - from <= LONGEST) out += text.slice(from, end);
        else out += broken(text.slice(from, end));
        from = end;
    }
    return out;
}

function broken(line: string): string {
    const parts = [];
    let from = 0;
    while (line.length - from > AT_LAST) {
        const blank = line.slice(from + LONGEST, from + AT_LAST).search(/\s/);
        let end = from + (blank < 0 ? AT_LAST : LONGEST + blank + 1);
        // Not within a character.
        const code = line.charCodeAt(end - 1);
        if (code >= 0xd800 && code < 0xdc00) end -= 1;
        parts.push(line.slice(from, end));
        from = end;
    }
    return [...parts, line.slice(from)].join("\n\n");
}
