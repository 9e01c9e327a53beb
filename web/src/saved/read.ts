// Conversations out of documents, in the forms that `write.ts` makes. Files are hostile: what is not understood is refused, with
// the place.

import { newestLeaf } from "../state/tree";
import type { Conversation, Message, Sampling } from "../state/types";
import { t } from "../texts";
import { localTime, messageId, newId, nextOrder } from "./ids";
import { FORMAT } from "./write";

export interface Read {
    conversation: Conversation;
    messages: Message[];
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** All conversations of a file. Throws an `Error` that says what is wrong, in the page's language. */
export function read(file: string, content: string): Read[] {
    const body = content.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
    const extension = file.toLowerCase().split(".").at(-1);
    if (extension === "jsonl") return [fromLines(body)];
    if (extension === "md" || extension === "markdown") return [fromMarkdown(body)];
    if (extension !== "json") throw new Error(t.badFile.name);
    const value = parse(body, t.badFile.json);
    const many = Array.isArray(value) ? value : [value];
    if (many.length === 0) throw new Error(t.badFile.empty);
    return many.map(fromJson);
}

function parse(json: string, why: string): unknown {
    try {
        return JSON.parse(json);
    } catch {
        throw new Error(why);
    }
}

function fromLines(body: string): Read {
    const lines = body.split("\n").map((line, i) => ({ line, number: i + 1 })).filter(({ line }) => line.trim() !== "");
    const [first, ...rest] = lines;
    if (!first) throw new Error(t.badFile.empty);
    const header = parse(first.line, t.badFile.kind);
    if (!isFields(header) || typeof header.sai_conversation !== "number") throw new Error(t.badFile.kind);
    if (header.sai_conversation !== FORMAT) throw new Error(t.badFile.version(header.sai_conversation));
    const rows = rest.map(({ line, number }) => {
        const value = parse(line, t.badFile.line(number));
        if (!isFields(value)) throw new Error(t.badFile.line(number));
        return value;
    });
    return inOneLine(header, text(header.system), rows);
}

function fromJson(value: unknown): Read {
    if (!isFields(value) || !Array.isArray(value.messages)) throw new Error(t.badFile.kind);
    const rows = value.messages.map((row, i) => {
        if (!isFields(row)) throw new Error(t.badFile.line(i + 1));
        return row;
    });
    const system = rows[0]?.role === "system" ? text(rows.shift()?.content) : "";
    return isFields(value.branches) ? asTree(value, system, value.branches) : inOneLine(value, system, rows);
}

/** Messages in turns, as a saved file and `/export` have them. */
function inOneLine(header: Fields, system: string, rows: Fields[]): Read {
    const conversation = made(header, system);
    const messages: Message[] = [];
    rows.forEach((row, i) => {
        const last = messages.at(-1);
        if (typeof row.content !== "string" || (row.role !== "user" && row.role !== "assistant")) throw new Error(t.badFile.line(i + 1));
        if (row.role === "assistant" && last?.role !== "user") throw new Error(t.badFile.order(i + 1));
        // A question that was never answered is a branch beside the one that was asked after it.
        const parent = last?.role === row.role ? last.parent : (last?.id ?? null);
        messages.push(message(row, conversation.id, messageId(), parent));
    });
    return finished(conversation, messages, messages.at(-1)?.id ?? null);
}

/** All branches. Messages get new ids, so that a second import is a conversation of its own. */
function asTree(header: Fields, system: string, branches: Fields): Read {
    const conversation = made(header, system);
    const rows = Array.isArray(branches.messages) ? branches.messages : [];
    const ids = new Map<string, { id: string; role: unknown }>();
    const messages: Message[] = [];
    rows.forEach((row: unknown, i) => {
        if (!isFields(row) || typeof row.id !== "string" || typeof row.content !== "string" || ids.has(row.id)) throw new Error(t.badFile.line(i + 1));
        if (row.role !== "user" && row.role !== "assistant") throw new Error(t.badFile.line(i + 1));
        // A message comes after the one that it follows, which excludes circles, and follows one of the other side.
        const parent = typeof row.parent === "string" ? ids.get(row.parent) : null;
        if (parent === undefined) throw new Error(t.badFile.tree);
        if (row.role === (parent ? parent.role : "assistant")) throw new Error(t.badFile.order(i + 1));
        const id = messageId();
        ids.set(row.id, { id, role: row.role });
        messages.push(message(row, conversation.id, id, parent?.id ?? null));
    });
    const shown = typeof branches.shown === "string" ? ids.get(branches.shown)?.id : undefined;
    return finished(conversation, messages, shown ?? messages.at(-1)?.id ?? null);
}

function fromMarkdown(body: string): Read {
    const [head = "", ...parts] = body.split(/^## (?=(?:System|Question|Answer)[ \t]*$)/m);
    const title = /^# (.+)$/m.exec(head)?.[1] ?? "";
    const [model = "", created = ""] = (/^(.+ · .+)$/m.exec(head)?.[1] ?? "").split(" · ");
    if (!title || parts.length === 0) throw new Error(t.badFile.kind);
    let system = "";
    const rows: Fields[] = [];
    for (const part of parts) {
        const end = part.indexOf("\n");
        const heading = (end < 0 ? part : part.slice(0, end)).trim();
        let content = end < 0 ? "" : part.slice(end).replace(/^\n+|\n+$/g, "");
        const stopped = heading === "Answer" && /(^|\n\n)\*\(stopped\)\*$/.test(content);
        if (stopped) content = content.replace(/(^|\n\n)\*\(stopped\)\*$/, "");
        content = content.replace(/^\\(\\*## (?:System|Question|Answer)[ \t]*)$/gm, "$1");
        if (heading === "System") system = content;
        else if (heading === "Question") rows.push({ role: "user", content });
        else rows.push({ role: "assistant", content, finish_reason: stopped ? "interrupted" : "stop" });
    }
    // `sai chat` writes the id where a conversation has no name.
    return inOneLine({ name: /^\d{8}-\d{6}-/.test(title) ? null : title, model, created }, system, rows);
}

function made(header: Fields, system: string): Conversation {
    return {
        id: newId(),
        name: text(header.name) || null,
        first: "",
        created: text(header.created) || localTime(),
        changed: Date.now(),
        model: text(header.model),
        system,
        sampling: sampling(header.sampling),
        leaf: null,
        draft: "",
        files: [],
    };
}

function message(row: Fields, conversation: string, id: string, parent: string | null): Message {
    const role = row.role === "user" ? "user" : "assistant";
    const made: Message = { id, conversation, parent, role, content: row.content as string, order: nextOrder() };
    if (role === "user") return made;
    made.finish_reason = text(row.finish_reason) || "interrupted";
    if (typeof row.seed === "number") made.seed = row.seed;
    if (typeof row.reasoning === "string") made.reasoning = row.reasoning;
    if (typeof row.model === "string") made.model = row.model;
    return made;
}

function sampling(value: unknown): Sampling {
    const fields = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "seed"] as const;
    const known: Sampling = {};
    if (isFields(value)) {
        for (const field of fields) {
            const number = value[field];
            if (typeof number === "number" && Number.isFinite(number)) known[field] = number;
        }
    }
    return known;
}

function finished(conversation: Conversation, messages: Message[], leaf: string | null): Read {
    const byId = new Map(messages.map((message) => [message.id, message]));
    conversation.leaf = leaf === null ? null : newestLeaf(byId, leaf);
    conversation.first = messages.find((message) => message.role === "user")?.content ?? "";
    return { conversation, messages };
}
