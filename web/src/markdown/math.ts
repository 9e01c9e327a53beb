// Formulas in Markdown: `$…$` and `\(…\)` within a line, `$$…$$` and `\[…\]` by themselves. They become elements of class `math`
// that hold the TeX; formulas.ts draws it.

import type { MarkdownIt } from "markdown-it";

type Inline = Parameters<MarkdownIt["inline"]["ruler"]["push"]>[1];
type Block = Parameters<MarkdownIt["block"]["ruler"]["push"]>[1];

const inline: Inline = (state, silent) => {
    const { src, pos } = state;
    let [open, close, display] = ["$", "$", false];
    if (src.startsWith("\\(", pos)) [open, close] = ["\\(", "\\)"];
    else if (src.startsWith("\\[", pos)) [open, close, display] = ["\\[", "\\]", true];
    else if (src.startsWith("$$", pos)) [open, close, display] = ["$$", "$$", true];
    else if (src[pos] !== "$") return false;
    const from = pos + open.length;
    let to = src.indexOf(close, from);
    while (to > 0 && close[0] === "$" && src[to - 1] === "\\") to = src.indexOf(close, to + 1);
    if (to < 0 || to === from) return false;
    const tex = src.slice(from, to);
    // As pandoc has it, so that prices stay prices: no space inside the dollars, no digit after them.
    if (close === "$" && (/^\s|\s$|\n\n/.test(tex) || /\d/.test(src[to + 1] ?? ""))) return false;
    if (!silent) {
        const token = state.push("math", "span", 0);
        token.content = tex;
        token.info = display ? "display" : "";
    }
    state.pos = to + close.length;
    return true;
};

const block: Block = (state, startLine, endLine, silent) => {
    const lineOf = (line: number) => state.src.slice(state.bMarks[line]! + state.tShift[line]!, state.eMarks[line]!);
    const first = lineOf(startLine);
    const close = first.startsWith("$$") ? "$$" : first.startsWith("\\[") ? "\\]" : null;
    if (!close || state.sCount[startLine]! - state.blkIndent >= 4) return false;
    let tex = first.slice(2);
    let line = startLine;
    while (!tex.trimEnd().endsWith(close)) {
        line += 1;
        if (line >= endLine) return false;
        tex += `\n${lineOf(line)}`;
    }
    if (silent) return true;
    const token = state.push("math_block", "div", 0);
    token.content = tex.trimEnd().slice(0, -2);
    token.map = [startLine, line + 1];
    state.line = line + 1;
    return true;
};

export function math(md: MarkdownIt): void {
    md.inline.ruler.before("escape", "math", inline);
    md.block.ruler.before("fence", "math_block", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
    const escape = md.utils.escapeHtml;
    md.renderer.rules.math = (tokens, i) => `<span class="math ${tokens[i]!.info}">${escape(tokens[i]!.content)}</span>`;
    md.renderer.rules.math_block = (tokens, i) => `<div class="math display">${escape(tokens[i]!.content)}</div>\n`;
}
