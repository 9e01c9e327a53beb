// Markdown to elements that can do no harm: no HTML of the answer's own, no images, no links but to the web and mail, and all
// of it through DOMPurify in the end.

import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { t } from "../texts";
import { math } from "./math";

export const md = new MarkdownIt({ html: false, linkify: true, breaks: true });
md.use(math);
// Bare words such as `main.rs` are no addresses.
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
md.validateLink = (url) => /^(https?:|mailto:)/i.test(url.trim());

const escape = md.utils.escapeHtml;

// Images would be requests to elsewhere: they become links.
md.renderer.rules.image = (tokens, i) => {
    const token = tokens[i]!;
    return `<a href="${escape(String(token.attrGet("src") ?? ""))}">${escape(t.image(token.content))}</a>`;
};
// The page allows no style attributes.
for (const rule of ["th_open", "td_open"]) {
    md.renderer.rules[rule] = (tokens, i) => {
        const align = /text-align:(\w+)/.exec(String(tokens[i]!.attrGet("style") ?? ""))?.[1];
        return align ? `<${tokens[i]!.tag} class="${align}">` : `<${tokens[i]!.tag}>`;
    };
}

const ALLOWED = {
    ALLOWED_TAGS: [
        ..."a b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong table tbody td th thead tr ul".split(" "),
    ],
    ALLOWED_ATTR: ["href", "class", "start", "title"],
    // The rule for addresses is for those alone.
    ADD_URI_SAFE_ATTR: ["start"],
    ALLOWED_URI_REGEXP: /^(https?:|mailto:)/i,
    RETURN_DOM_FRAGMENT: true as const,
};

export type Tokens = ReturnType<typeof md.parse>;

/** The elements of the tokens, with their links, tables, code and formulas seen to. */
export function elements(tokens: Tokens, env: Record<string, unknown>): DocumentFragment {
    const fragment = DOMPurify.sanitize(md.renderer.render(tokens, md.options, env), ALLOWED);
    for (const link of fragment.querySelectorAll("a")) {
        link.target = "_blank";
        link.rel = "noopener noreferrer nofollow";
    }
    for (const table of fragment.querySelectorAll("table")) {
        const frame = wide("table");
        table.replaceWith(frame);
        frame.append(table);
    }
    for (const pre of fragment.querySelectorAll("pre")) {
        const code = pre.firstElementChild as HTMLElement | null;
        const language = /language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
        const frame = codeFrame(language);
        pre.replaceWith(frame);
        pre.tabIndex = 0;
        frame.append(pre);
        if (code && language) void colour(code, language);
    }
    for (const formula of fragment.querySelectorAll<HTMLElement>(".math")) void draw(formula);
    return fragment;
}

/** A frame that scrolls sideways, and by keys. */
function wide(kind: string): HTMLElement {
    const frame = document.createElement("div");
    frame.className = kind;
    frame.tabIndex = 0;
    return frame;
}

/** What stands around a code block: its language, and a button that copies it (ui/copy.ts listens). */
export function codeFrame(language: string): HTMLElement {
    const frame = document.createElement("div");
    frame.className = "code";
    const head = document.createElement("div");
    head.className = "code-head";
    const name = document.createElement("span");
    name.textContent = language;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-code";
    button.textContent = t.copyCode;
    head.append(name, button);
    frame.append(head);
    return frame;
}

async function colour(code: HTMLElement, language: string): Promise<void> {
    const { highlight } = (await import("./highlight.js" as string)) as typeof import("./highlight");
    highlight(code, language);
}

async function draw(formula: HTMLElement): Promise<void> {
    const { draw } = (await import("./formulas.js" as string)) as typeof import("./formulas");
    draw(formula);
}
