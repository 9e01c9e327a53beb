// The page's state and what can be done with conversations. Components read `app.state` through `useApp` and call methods here;
// answers that are on their way are in answering.ts.

import { useEffect, useReducer } from "preact/hooks";
import { Refused } from "../api/client";
import { models as askModels, serverIsBack } from "../api/models";
import { localTime, messageId, newId, nextOrder } from "../saved/ids";
import { read } from "../saved/read";
import { t } from "../texts";
import { Answering } from "./answering";
import { Database } from "./database";
import { newestLeaf, pathTo, type Messages } from "./tree";
import type { Conversation, Message, Model, Preset } from "./types";

export type Server = "unknown" | "up" | "gone" | "busy";

interface State {
    server: Server;
    models: Model[];
    /** The last changed first. */
    conversations: Conversation[];
    current: Conversation;
    messages: Messages;
    presets: Preset[];
    notice: string | null;
    /** The conversation was just opened, and its end is to be shown. */
    opened: number;
}

export class App {
    state: State = {
        server: "unknown",
        models: [],
        conversations: [],
        current: blank(""),
        messages: new Map(),
        presets: [],
        notice: null,
        opened: 0,
    };
    /** Answers on their way, by the id of their message. */
    readonly answering = new Map<string, Answering>();
    private listeners = new Set<() => void>();
    private database: Database | null = null;
    private readonly channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("sai");
    private reaching = false;

    subscribe(listener: () => void): () => void {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }

    set(changes: Partial<State>): void {
        this.state = { ...this.state, ...changes };
        for (const listener of this.listeners) listener();
    }

    notify(notice: string | null): void {
        this.set({ notice });
    }

    async start(): Promise<void> {
        try {
            this.database = await Database.open();
            const [conversations, presets] = await Promise.all([this.database.all<Conversation>("conversations"), this.database.all<Preset>("presets")]);
            this.set({ conversations: newestFirst(conversations), presets });
        } catch {
            this.notify(t.noStorage);
        }
        this.takeDraft();
        if (this.channel) this.channel.onmessage = () => void this.reloadList();
        const wanted = wantedId();
        const found = this.state.conversations.find(({ id }) => id === wanted);
        await (found ? this.open(found.id) : this.openNew());
        addEventListener("hashchange", () => {
            const id = wantedId();
            if (id !== this.state.current.id && this.state.conversations.some((c) => c.id === id)) void this.open(id);
        });
        await this.reach();
    }

    /** Asks for the models until the server answers. */
    async reach(): Promise<void> {
        if (this.reaching) return;
        this.reaching = true;
        const forever = new AbortController().signal;
        for (;;) {
            try {
                const models = await askModels(forever);
                const back = this.state.server === "gone";
                this.set({ models, server: "up", ...(back ? { notice: t.back } : models.length === 0 ? { notice: t.noModels } : {}) });
                break;
            } catch (error) {
                if (error instanceof Refused) {
                    this.set({ server: "up", notice: error.status === 401 ? t.keyWanted : t.refused(error.message) });
                    break;
                }
                this.set({ server: "gone" });
                await serverIsBack(forever);
            }
        }
        this.reaching = false;
        // A new conversation takes the first model there is.
        const { current, models } = this.state;
        if (!current.model && models[0]) this.change({ model: models[0].id });
    }

    // Conversations.

    async openNew(): Promise<void> {
        await this.leave();
        const defaults = JSON.parse(localStorage.getItem("defaults") ?? "{}") as Partial<Conversation>;
        const known = this.state.models.some(({ id }) => id === defaults.model);
        const model = known ? defaults.model! : (this.state.models[0]?.id ?? "");
        const current = { ...blank(model), system: defaults.system ?? "", sampling: defaults.sampling ?? {} };
        this.set({ current, messages: new Map(), opened: this.state.opened + 1 });
        history.replaceState(null, "", location.pathname);
    }

    async open(id: string): Promise<void> {
        const conversation = this.state.conversations.find((c) => c.id === id);
        if (!conversation) return;
        await this.leave();
        const kept = (await this.database?.messagesOf<Message>(id)) ?? [];
        const messages = new Map(kept.map((message) => [message.id, this.asItIs(message)]));
        this.set({ current: conversation, messages, opened: this.state.opened + 1 });
        history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    }

    /** An answer that nobody is writing any more was cut when its tab was closed. */
    private asItIs(message: Message): Message {
        const live = this.answering.get(message.id);
        if (live) return live.message;
        if (message.role === "assistant" && !message.finish_reason) return { ...message, finish_reason: "interrupted" };
        return message;
    }

    /** Changes the conversation that is open, and keeps it if there is something to keep. */
    change(changes: Partial<Conversation>): void {
        const current = { ...this.state.current, ...changes };
        this.set({ current });
        if (this.isKept(current)) this.keep(current, []);
    }

    /** Puts the open conversation where the next start of the page finds it, whatever becomes of the database's work. */
    leaveDraft(): void {
        localStorage.setItem("left", JSON.stringify(this.state.current));
    }

    private takeDraft(): void {
        const left = localStorage.getItem("left");
        localStorage.removeItem("left");
        if (!left) return;
        const conversation = JSON.parse(left) as Conversation;
        const known = this.state.conversations.find(({ id }) => id === conversation.id);
        if (known && (known.leaf !== conversation.leaf || known.draft === conversation.draft)) return;
        this.keep(known ? { ...known, draft: conversation.draft } : conversation, []);
    }

    private isKept = ({ leaf, draft, files, id }: Conversation) =>
        leaf !== null || draft.trim() !== "" || files.length > 0 || this.state.conversations.some((c) => c.id === id);

    /** A conversation that has nothing is forgotten when it is left. */
    private async leave(): Promise<void> {
        const { current } = this.state;
        if (current.leaf === null && current.draft.trim() === "" && current.files.length === 0) await this.remove(current.id, false);
    }

    /** Writes a conversation and messages of it, here and in the database. */
    keep(conversation: Conversation, messages: Message[]): void {
        const changed = { ...conversation, changed: messages.length > 0 ? Date.now() : conversation.changed };
        const others = this.state.conversations.filter(({ id }) => id !== changed.id);
        const changes: Partial<State> = { conversations: newestFirst([changed, ...others]) };
        if (changed.id === this.state.current.id) {
            const all = new Map(this.state.messages);
            for (const message of messages) all.set(message.id, message);
            Object.assign(changes, { current: changed, messages: all });
            history.replaceState(null, "", `#${encodeURIComponent(changed.id)}`);
        }
        this.set(changes);
        this.write({ conversations: [changed], messages });
        this.channel?.postMessage("changed");
    }

    write(records: Parameters<Database["put"]>[0]): void {
        this.database?.put(records).catch((error: unknown) => this.notify(t.notSaved(String(error))));
    }

    rename(id: string, name: string): void {
        const conversation = this.state.conversations.find((c) => c.id === id);
        if (conversation) this.keep({ ...conversation, name: name.trim() || null }, []);
    }

    async remove(id: string, andLeave = true): Promise<void> {
        for (const live of this.answering.values()) if (live.message.conversation === id) live.stop();
        // Gone from the list is gone for good, also where the page is closed at once.
        await this.database?.remove(id);
        this.set({ conversations: this.state.conversations.filter((c) => c.id !== id) });
        this.channel?.postMessage("changed");
        if (andLeave && id === this.state.current.id) {
            this.set({ current: blank(""), messages: new Map() });
            await this.openNew();
        }
    }

    private async reloadList(): Promise<void> {
        if (this.database) this.set({ conversations: newestFirst(await this.database.all<Conversation>("conversations")) });
    }

    /** Ids of conversations that have `words` in their name or in a message. */
    async search(words: string): Promise<Set<string>> {
        const wanted = fold(words);
        const found = (await this.database?.conversationsWith((content) => fold(content).includes(wanted))) ?? new Set<string>();
        for (const { id, name } of this.state.conversations) if (name && fold(name).includes(wanted)) found.add(id);
        return found;
    }

    async messagesOf(id: string): Promise<Messages> {
        if (id === this.state.current.id) return this.state.messages;
        const kept = (await this.database?.messagesOf<Message>(id)) ?? [];
        return new Map(kept.map((message) => [message.id, this.asItIs(message)]));
    }

    async importFiles(files: Iterable<File>): Promise<void> {
        const said: string[] = [];
        let last: Conversation | null = null;
        let count = 0;
        for (const file of files) {
            try {
                for (const { conversation, messages } of read(file.name, await file.text())) {
                    if (!conversation.model) conversation.model = this.state.models[0]?.id ?? "";
                    this.keep(conversation, messages);
                    last = conversation;
                    count += 1;
                }
            } catch (error) {
                said.push(t.notImported(file.name, (error as Error).message));
            }
        }
        if (last) await this.open(last.id);
        if (count > 0) said.unshift(t.imported(count));
        this.notify(said.join(" "));
    }

    savePreset(preset: Preset): void {
        this.set({ presets: [...this.state.presets.filter(({ name }) => name !== preset.name), preset] });
        this.write({ presets: [preset] });
    }

    removePreset(name: string): void {
        this.set({ presets: this.state.presets.filter((preset) => preset.name !== name) });
        void this.database?.removePreset(name);
    }

    // Messages of the conversation that is open.

    ask(content: string): void {
        const { current } = this.state;
        const question = this.question(content, current.leaf);
        const first = current.first || content;
        this.keep({ ...current, leaf: question.id, draft: "", files: [], first }, [question]);
        this.answer(question.id);
    }

    private question(content: string, parent: string | null): Message {
        return { id: messageId(), conversation: this.state.current.id, parent, role: "user", content, order: nextOrder() };
    }

    /** A new answer below the question, beside those that it has. `begun` is what it begins with. */
    answer(question: string, begun = ""): void {
        const { current } = this.state;
        const message: Message = {
            id: messageId(),
            conversation: current.id,
            parent: question,
            role: "assistant",
            content: begun,
            finish_reason: "",
            model: current.model,
            order: nextOrder(),
        };
        this.run({ ...current, leaf: message.id }, message);
    }

    /** The same answer, from where it ended. */
    continue(message: Message): void {
        const { error: _, ...rest } = message;
        this.run({ ...this.state.current, leaf: message.id }, { ...rest, finish_reason: "" });
    }

    private run(conversation: Conversation, message: Message): void {
        if (this.isAnswering()) return;
        this.keep(conversation, [message]);
        const path = pathTo(this.state.messages, message.parent);
        const live = new Answering(this, { ...message }, conversation, path);
        this.answering.set(message.id, live);
        this.set({});
        void live.run();
    }

    /** Takes the answer's record when it ended. */
    ended(live: Answering): void {
        this.answering.delete(live.message.id);
        const conversation = this.state.conversations.find(({ id }) => id === live.message.conversation);
        // It may have been deleted meanwhile.
        if (conversation) this.keep(conversation, [{ ...live.message }]);
        else this.set({});
    }

    /** The answer that the open conversation waits for. */
    live(): Answering | undefined {
        for (const live of this.answering.values()) if (live.message.conversation === this.state.current.id) return live;
        return undefined;
    }

    isAnswering = (): boolean => this.live() !== undefined;

    stop(): void {
        this.live()?.stop();
    }

    /** Shows the branch that `id` is on. */
    show(id: string): void {
        this.change({ leaf: newestLeaf(this.state.messages, id) });
    }

    /** The question in other words, answered anew in a branch of its own. */
    editAndAsk(message: Message, content: string): void {
        const question = this.question(content, message.parent);
        const { current } = this.state;
        const first = message.parent === null ? content : current.first;
        this.keep({ ...current, first, leaf: question.id }, [question]);
        this.answer(question.id);
    }

    /** The message in other words, in a branch of its own that has what follows as well. */
    editAndKeep(message: Message, content: string): void {
        const { current, messages } = this.state;
        const path = pathTo(messages, current.leaf);
        const following = path.slice(path.findIndex(({ id }) => id === message.id) + 1);
        const copies: Message[] = [{ ...message, id: messageId(), content, order: nextOrder() }];
        for (const next of following) copies.push({ ...next, id: messageId(), parent: copies.at(-1)!.id, order: nextOrder() });
        this.keep({ ...current, leaf: copies.at(-1)!.id }, copies);
    }
}

function blank(model: string): Conversation {
    const now = new Date();
    return {
        id: newId(now),
        name: null,
        first: "",
        created: localTime(now),
        changed: now.getTime(),
        model,
        system: "",
        sampling: {},
        leaf: null,
        draft: "",
        files: [],
    };
}

const newestFirst = (list: Conversation[]) => list.sort((a, b) => b.changed - a.changed || (a.id < b.id ? 1 : -1));

/** For comparing: composed syllables, small letters. */
const fold = (text: string) => text.normalize("NFC").toLowerCase();

export const app = new App();

/** Renders the component again when the state changes. */
export function useApp(): State {
    const [, again] = useReducer((n: number) => n + 1, 0);
    useEffect(() => app.subscribe(() => again(undefined)), []);
    return app.state;
}

/** The conversation that the address names; an address that is no text names none. */
function wantedId(): string {
    try {
        return decodeURIComponent(location.hash.slice(1));
    } catch {
        return "";
    }
}
