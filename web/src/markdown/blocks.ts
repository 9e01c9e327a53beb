// Markdown that grows. Only the last block of a text can still change, so that what is before it is made once and stays; an
// answer of 10,000 tokens costs no more a frame than its last paragraph.

import { breakLongLines } from "./lines";
import { codeFrame, elements, md, type Tokens } from "./render";

/** An item of a list, or the whole of one, is taken as settled beyond this many characters. */
const LONG_LIST = 1500;
const LONG_TEXT = 20_000;

export class Blocks {
    private source = "";
    /** Characters of the source whose elements do not change any more. */
    private settled = 0;
    /** Elements of what comes after them. */
    private tail: ChildNode[] = [];
    /** The text of a code block that is still open. */
    private openCode: Text | null = null;
    /** Whether the whole has to be made again in the end, because it was cut where Markdown would not. */
    private approximate = false;

    constructor(private readonly root: HTMLElement) {}

    /** Shows `whole`, which is complete if `done`. */
    update(whole: string, done: boolean): void {
        const text = breakLongLines(whole);
        // Of a long text only what is in sight is laid out (markdown.css).
        this.root.classList.toggle("long", done && text.length > LONG_TEXT);
        if (!text.startsWith(this.source) || (done && (this.approximate || refers(text)))) this.clear();
        this.source = text;
        const fresh = text.slice(this.settled);
        const env = {};
        const tokens = md.parse(fresh, env);
        const last = lastBlock(tokens);
        if (last < 0) return this.replaceTail(document.createDocumentFragment());

        const lines = new Lines(fresh);
        const start = done ? fresh.length : lines.offset(tokens[last]!.map![0]);
        const block = tokens.slice(last);
        if (done) {
            this.replaceTail(elements(tokens, env));
            this.settled += start;
            this.tail = [];
            return;
        }
        if (last > 0) this.settle(elements(tokens.slice(0, last), env), start);
        if (block[0]!.type === "fence" && this.showOpenCode(block[0]!.content, block[0]!.info, last > 0)) return;
        const item = lastItem(block);
        if (item > 0 && fresh.length - start > LONG_LIST) {
            this.cutList(text, lines.offset(block[item]!.map![0]));
            return;
        }
        this.replaceTail(elements(block, env));
    }

    private clear(): void {
        this.root.replaceChildren();
        [this.source, this.settled, this.tail, this.openCode, this.approximate] = ["", 0, [], null, false];
    }

    private settle(made: DocumentFragment, characters: number): void {
        this.replaceTail(made);
        this.tail = [];
        this.settled += characters;
    }

    private replaceTail(made: DocumentFragment): void {
        this.openCode = null;
        const nodes = [...made.childNodes];
        for (const node of this.tail) node.remove();
        this.root.append(made);
        this.tail = nodes;
    }

    /** Text is appended to code as it comes; it is coloured when the block is closed, with the block after it. */
    private showOpenCode(code: string, info: string, isNew: boolean): boolean {
        if (this.openCode && !isNew && code.startsWith(this.openCode.data)) {
            this.openCode.appendData(code.slice(this.openCode.data.length));
            return true;
        }
        const made = document.createDocumentFragment();
        const frame = codeFrame(info.trim().split(/\s/)[0] ?? "");
        const pre = document.createElement("pre");
        const text = document.createTextNode(code);
        const element = document.createElement("code");
        element.append(text);
        pre.append(element);
        pre.tabIndex = 0;
        frame.append(pre);
        made.append(frame);
        this.replaceTail(made);
        this.openCode = text;
        return true;
    }

    /** Takes the items of a long list before the last as settled, as a list of their own. */
    private cutList(text: string, at: number): void {
        const items = text.slice(this.settled, this.settled + at);
        const env = {};
        this.settle(elements(md.parse(items, env), env), at);
        this.approximate = true;
        const rest = text.slice(this.settled);
        this.replaceTail(elements(md.parse(rest, env), env));
    }
}

/** Whether the text has a link definition, which changes what is before it. */
const refers = (text: string) => /^ {0,3}\[[^\]]+\]:/m.test(text);

/** Where the last block begins among the tokens, or -1. */
function lastBlock(tokens: Tokens): number {
    for (let i = tokens.length - 1; i >= 0; i--) {
        const token = tokens[i]!;
        if (token.level === 0 && token.nesting >= 0 && token.map) return i;
    }
    return -1;
}

/** Where the last item of the list begins among its tokens; 0 where there is but one, or no list. */
function lastItem(block: Tokens): number {
    if (!block[0]!.type.endsWith("_list_open")) return 0;
    const items = block.flatMap((token, i) => (token.type === "list_item_open" && token.level === 1 ? [i] : []));
    return items.length > 1 ? items.at(-1)! : 0;
}

/** Where lines begin. */
class Lines {
    private readonly starts = [0];

    constructor(private readonly text: string) {
        for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.starts.push(at + 1);
    }

    offset(line: number): number {
        return this.starts[line] ?? this.text.length;
    }
}
