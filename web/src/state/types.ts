// What is kept of conversations, in IndexedDB and in the tab.

/** A message of a conversation: a node of its tree. Records are replaced and never changed, but while an answer comes. */
export interface Message {
    id: string;
    conversation: string;
    /** The message it follows, or null for a first question. */
    parent: string | null;
    role: "user" | "assistant";
    content: string;
    reasoning?: string;
    /** Why an answer ended: `stop`, `length`, `interrupted`, `lost`, `error`, …; empty while it comes. */
    finish_reason?: string;
    /** What the server said where it refused to answer. */
    error?: string;
    seed?: number;
    model?: string;
    usage?: Usage;
    /** Grows with each message that is made; among branches the earlier has the smaller. */
    order: number;
}

/** What an answer took. Times are in seconds. */
export interface Usage {
    prompt_tokens: number;
    completion_tokens: number;
    first: number;
    seconds: number;
}

/** What the model may choose among. A field that is not there takes the model's own value. */
export interface Sampling {
    temperature?: number;
    top_p?: number;
    top_k?: number;
    min_p?: number;
    repetition_penalty?: number;
    max_tokens?: number;
    seed?: number;
}

export interface Attached {
    name: string;
    text: string;
}

export interface Conversation {
    id: string;
    name: string | null;
    /** The first question, which stands in the list where there is no name. */
    first: string;
    /** Local time with its offset, as `sai chat` writes it. */
    created: string;
    /** Milliseconds since 1970. */
    changed: number;
    model: string;
    system: string;
    sampling: Sampling;
    /** The newest message of the branch that is shown. */
    leaf: string | null;
    draft: string;
    files: Attached[];
}

export interface Preset {
    name: string;
    system: string;
    sampling: Sampling;
}

export interface Model {
    id: string;
    /** Tokens, where the server says so. */
    context: number | null;
}
