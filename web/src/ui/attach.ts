// Text files for a message.

import type { Attached } from "../state/types";
import { t } from "../texts";

const LARGEST = 1_000_000;

/** The file's text. Throws an `Error` with what to tell the person. */
export async function readText(file: File): Promise<Attached> {
    if (file.size > LARGEST) throw new Error(t.tooLarge(file.name, t.bytes(file.size), t.bytes(LARGEST)));
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = decode(bytes);
    if (text === null) throw new Error(t.notText(file.name));
    return { name: file.name, text: text.replaceAll("\r\n", "\n") };
}

/** UTF-8, UTF-16 with a mark, or what Korean programs wrote before; null where it is no text. */
function decode(bytes: Uint8Array): string | null {
    const marked = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : null;
    for (const encoding of marked ? [marked] : ["utf-8", "euc-kr"]) {
        try {
            const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
            return text.includes("\0") ? null : text;
        } catch {
            // Not this one.
        }
    }
    return null;
}

/** The message with its files before it, each in a fence that is longer than any in it. */
export function withFiles(text: string, files: Attached[]): string {
    const parts = files.map(({ name, text }) => {
        const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map(([fence]) => fence.length));
        const fence = "`".repeat(longest + 1);
        return `${name}\n${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
    });
    return [...parts, ...(text.trim() === "" ? [] : [text])].join("\n\n");
}
