// A conversation is a tree of messages; what is shown is the path from its root to a leaf.

import type { Message } from "./types";

export type Messages = ReadonlyMap<string, Message>;

/** The messages from the first question to `leaf`. */
export function pathTo(messages: Messages, leaf: string | null): Message[] {
    const path: Message[] = [];
    const seen = new Set<string>();
    for (let at = leaf; at !== null && !seen.has(at); ) {
        const message = messages.get(at);
        if (!message) break;
        seen.add(at);
        path.push(message);
        at = message.parent;
    }
    return path.reverse();
}

/** Messages by the one they follow, the earliest first. */
export function childrenOf(messages: Messages): Map<string | null, Message[]> {
    const children = new Map<string | null, Message[]>();
    for (const message of messages.values()) {
        const siblings = children.get(message.parent);
        if (siblings) siblings.push(message);
        else children.set(message.parent, [message]);
    }
    for (const siblings of children.values()) siblings.sort((a, b) => a.order - b.order);
    return children;
}

/** The leaf that was made last under `id`. */
export function newestLeaf(messages: Messages, id: string): string {
    const children = childrenOf(messages);
    let newest = messages.get(id);
    const open = newest ? [newest] : [];
    for (let message = open.pop(); message; message = open.pop()) {
        if (!newest || message.order > newest.order) newest = message;
        open.push(...(children.get(message.id) ?? []));
    }
    // The newest may have been edited in the middle: what follows it is shown too.
    for (let last = newest; last; last = children.get(last.id)?.at(-1)) newest = last;
    return newest?.id ?? id;
}
