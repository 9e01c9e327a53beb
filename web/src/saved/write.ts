// A conversation as a document, in the forms of `sai chat`: its saved file, and its `/export` as JSON and as Markdown.

import { pathTo, type Messages } from "../state/tree";
import type { Conversation, Message } from "../state/types";

/** `sai_conversation` of a saved file. */
export const FORMAT = 1;

const finish = (message: Message) => message.finish_reason || "interrupted";

/** What stands in `sai chat`'s documents of one message. */
function row(message: Message): object {
    if (message.role === "user") return { role: "user", content: message.content };
    return { role: "assistant", content: message.content, finish_reason: finish(message), seed: message.seed ?? 0 };
}

/** The file that `sai chat --resume` reads, of the branch that is shown. */
export function asJsonLines(conversation: Conversation, messages: Messages): string {
    const { id, name, created, model, system } = conversation;
    const header = { sai_conversation: FORMAT, id, ...(name ? { name } : {}), created, model, ...(system ? { system } : {}) };
    return [header, ...pathTo(messages, conversation.leaf).map(row)].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** The JSON of `/export`, with all branches beside the one that is shown, and the sampling. */
export function asJson(conversation: Conversation, messages: Messages): object {
    const { id, name, created, model, system, sampling, leaf } = conversation;
    const all = [...messages.values()].sort((a, b) => a.order - b.order);
    return {
        id,
        name,
        created,
        model,
        messages: [...(system ? [{ role: "system", content: system }] : []), ...pathTo(messages, leaf).map(row)],
        sampling,
        branches: { shown: leaf, messages: all.map(({ conversation: _, order: __, ...message }) => message) },
    };
}

/** The Markdown of `/export`, of the branch that is shown. */
export function asMarkdown(conversation: Conversation, messages: Messages): string {
    let out = `# ${conversation.name || conversation.id}\n\n${conversation.model} · ${conversation.created}\n`;
    if (conversation.system) out += `\n## System\n\n${escapeHeadings(conversation.system)}\n`;
    for (const message of pathTo(messages, conversation.leaf)) {
        if (message.role === "user") {
            out += `\n## Question\n\n${escapeHeadings(message.content.trimEnd())}\n`;
        } else {
            const mark = ["interrupted", "lost"].includes(finish(message)) ? "\n\n*(stopped)*" : "";
            out += `\n## Answer\n\n${escapeHeadings(message.content.trim())}${mark}\n`;
        }
    }
    return out;
}

/** A line of a text that looks like one of the document's own headings gets a backslash, which Markdown does not show. */
const escapeHeadings = (text: string) => text.replace(/^(\\*)(## (?:System|Question|Answer)[ \t]*)$/gm, "$1\\$2");
