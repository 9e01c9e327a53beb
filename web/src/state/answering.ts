// One answer on its way: asked for, shown as it comes, kept every second, gone on with when the server is back.

import { answer, type ChatMessage } from "../api/chat";
import { Gone, Refused } from "../api/client";
import { pause, serverIsBack } from "../api/models";
import { newSeed } from "../saved/ids";
import { t } from "../texts";
import type { App } from "./app";
import type { Conversation, Message } from "./types";

/** How often a broken answer is asked for again without a word more. */
const ATTEMPTS = 3;
const SAVE_EVERY = 1000;

/** The system text and the messages as the API has them. */
export function chatMessages(system: string, path: Message[]): ChatMessage[] {
    const messages: ChatMessage[] = path.map(({ role, content }) => ({ role, content }));
    return system.trim() ? [{ role: "system", content: system }, ...messages] : messages;
}

export class Answering {
    private readonly abort = new AbortController();
    private readonly listeners = new Set<() => void>();
    private readonly seed: number;
    /** Pieces that came, which are about as many as tokens. */
    pieces = 0;
    private began = 0;
    private firstAt = 0;
    private lastAt = 0;
    private savedAt = 0;

    constructor(
        private readonly app: App,
        /** Grows as the answer comes. */
        readonly message: Message,
        private readonly conversation: Conversation,
        private readonly path: Message[],
    ) {
        this.seed = conversation.sampling.seed ?? newSeed();
        message.seed = this.seed;
    }

    /** Calls `listener` whenever the message has grown. */
    subscribe(listener: () => void): () => void {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }

    stop(): void {
        this.abort.abort();
    }

    /** Tokens a second so far. */
    speed(): number {
        return this.pieces > 1 ? ((this.pieces - 1) * 1000) / (this.lastAt - this.firstAt || 1) : 0;
    }

    async run(): Promise<void> {
        let left = ATTEMPTS;
        for (;;) {
            const length = () => this.message.content.length + (this.message.reasoning?.length ?? 0);
            const before = length();
            try {
                await this.once();
                break;
            } catch (error) {
                if (this.abort.signal.aborted) {
                    this.message.finish_reason = "interrupted";
                    break;
                }
                left = length() > before ? ATTEMPTS : left - 1;
                if (!(await this.mayGoOn(error, left))) break;
            }
        }
        this.app.ended(this);
    }

    private async once(): Promise<void> {
        const { message, conversation } = this;
        const goesOn = message.content !== "";
        // Thoughts that broke off are thought again.
        if (!goesOn) delete message.reasoning;
        const messages = chatMessages(conversation.system, goesOn ? [...this.path, message] : this.path);
        this.began = performance.now();
        this.pieces = this.firstAt = 0;
        if (this.app.state.server !== "up") this.app.set({ server: "up" });
        const asked = { model: conversation.model, messages, sampling: conversation.sampling, seed: this.seed, goesOn };
        for await (const piece of answer(asked, this.abort.signal)) {
            switch (piece.kind) {
                case "text":
                case "reasoning":
                    if (piece.kind === "text") message.content += piece.text;
                    else message.reasoning = (message.reasoning ?? "") + piece.text;
                    this.lastAt = performance.now();
                    this.firstAt ||= this.lastAt;
                    this.pieces += 1;
                    this.grown();
                    break;
                case "end":
                    message.finish_reason = piece.finish_reason;
                    break;
                case "usage": {
                    const [first, end] = [this.firstAt || performance.now(), this.lastAt || performance.now()];
                    message.usage = {
                        prompt_tokens: piece.prompt_tokens,
                        completion_tokens: piece.completion_tokens,
                        first: (first - this.began) / 1000,
                        seconds: (end - first) / 1000,
                    };
                }
            }
        }
    }

    /** Whether to ask again, after waiting for what is in the way. */
    private async mayGoOn(error: unknown, left: number): Promise<boolean> {
        const { app, message } = this;
        app.write({ messages: [{ ...message }] });
        try {
            if (error instanceof Refused && error.status === 429) {
                app.set({ server: "busy" });
                await pause((error.retryAfter ?? 2) * 1000, this.abort.signal);
                return true;
            }
            if (error instanceof Gone) {
                if (left <= 0) {
                    message.finish_reason = "lost";
                    message.error = t.gaveUp;
                    return false;
                }
                app.set({ server: "gone" });
                void app.reach();
                await serverIsBack(this.abort.signal);
                return true;
            }
        } catch {
            message.finish_reason = "interrupted";
            return false;
        } finally {
            if (this.abort.signal.aborted && app.state.server === "busy") app.set({ server: "up" });
        }
        message.finish_reason = "error";
        message.error = explain(error);
        return false;
    }

    private grown(): void {
        for (const listener of this.listeners) listener();
        if (this.lastAt - this.savedAt > SAVE_EVERY) {
            this.savedAt = this.lastAt;
            this.app.write({ messages: [{ ...this.message }] });
        }
    }
}

/** What the person can do about it. */
function explain(error: unknown): string {
    if (error instanceof Refused) {
        if (error.status === 401) return t.keyWanted;
        if (error.code === "context_length_exceeded") return t.tooLong;
        return t.refused(error.message);
    }
    return t.refused(String(error));
}
