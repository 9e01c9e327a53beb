// Server-sent events, as far as the API has them: the data of each event (WHATWG HTML, section 9.2).

export class EventStream {
    private rest = "";
    private data: string[] = [];

    /** The data of the events that `chunk` completes. */
    push(chunk: string): string[] {
        const events: string[] = [];
        const text = this.rest + chunk;
        let from = 0;
        for (;;) {
            const end = lineEnd(text, from);
            if (!end) break;
            const line = text.slice(from, end.at);
            from = end.next;
            if (line === "") {
                if (this.data.length > 0) events.push(this.data.join("\n"));
                this.data = [];
            } else if (line.startsWith("data:")) {
                this.data.push(line.slice(line[5] === " " ? 6 : 5));
            }
        }
        this.rest = text.slice(from);
        return events;
    }
}

/** Where the line that begins at `from` ends and the next begins. A last `\r` waits for what may follow it. */
function lineEnd(text: string, from: number): { at: number; next: number } | null {
    for (let at = from; at < text.length; at++) {
        if (text[at] === "\n") return { at, next: at + 1 };
        if (text[at] === "\r") {
            if (at + 1 === text.length) return null;
            return { at, next: text[at + 1] === "\n" ? at + 2 : at + 1 };
        }
    }
    return null;
}
