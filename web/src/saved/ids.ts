// Names and times as `sai chat` makes them.

const two = (n: number) => String(n).padStart(2, "0");
const hex = (n: number) => n.toString(16).padStart(4, "0");

/** Sixteen bits that nobody chose. */
const random16 = () => crypto.getRandomValues(new Uint16Array(1))[0]!;

/** Ids of this second are 65,536, and a file may bring hundreds of conversations: none is given twice. */
const given = new Set<string>();

/** `20261130-234501-9f3c`. */
export function newId(now = new Date()): string {
    const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
    for (;;) {
        const id = `${day}-${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}-${hex(random16())}`;
        if (given.has(id)) continue;
        given.add(id);
        return id;
    }
}

/** `2026-11-30T23:45:01+09:00`. */
export function localTime(now = new Date()): string {
    const offset = -now.getTimezoneOffset();
    const zone = `${offset < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
    const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
    return `${day}T${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}${zone}`;
}

export const messageId = (): string => crypto.randomUUID?.() ?? `${Date.now()}-${hex(random16())}${hex(random16())}${hex(random16())}`;

/** A seed for an answer: any whole number that JSON holds exactly. */
export const newSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]!;

let last = 0;

/** A number larger than any before it, in this tab and after those of others. */
export function nextOrder(): number {
    last = Math.max(last + 1, Date.now());
    return last;
}
