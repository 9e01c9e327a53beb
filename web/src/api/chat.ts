// `/v1/chat/completions`: an answer as it comes, and what else could have stood in a place of one.

import type { Sampling } from "../state/types";
import { Gone, Refused, request } from "./client";
import { EventStream } from "./sse";

export interface ChatMessage {
    role: "system" | "user" | "assistant";
    content: string;
}

export interface Asked {
    model: string;
    messages: ChatMessage[];
    sampling: Sampling;
    seed: number;
    /** Whether the last message is the beginning of the answer. */
    goesOn: boolean;
}

/** What comes of an answer, in order. */
export type Piece =
    | { kind: "text"; text: string }
    | { kind: "reasoning"; text: string }
    | { kind: "usage"; prompt_tokens: number; completion_tokens: number }
    | { kind: "end"; finish_reason: string };

/** A server that says nothing for this long, not even a keep-alive, is gone. */
const SILENCE = 90_000;

const body = ({ model, messages, goesOn }: Pick<Asked, "model" | "messages" | "goesOn">) => ({
    // Without a name the server takes its first model.
    model: model || undefined,
    messages,
    ...(goesOn ? { continue_final_message: true, add_generation_prompt: false } : {}),
});

/**
 * The pieces of an answer. Throws `Refused` where the server says no, before or in the middle, and `Gone` where the stream
 * breaks before its end.
 */
export async function* answer(asked: Asked, signal: AbortSignal): AsyncGenerator<Piece> {
    const watch = new AbortController();
    const alarm = () => setTimeout(() => watch.abort(), SILENCE);
    let timer = alarm();
    const both = AbortSignal.any([signal, watch.signal]);
    let ended = false;
    try {
        const { seed: _, ...sampling } = asked.sampling;
        const stream = { ...body(asked), ...sampling, seed: asked.seed, stream: true, stream_options: { include_usage: true } };
        const response = await request("/v1/chat/completions", stream, both);
        const reader = response.body!.getReader();
        const decoder = new TextDecoder();
        const events = new EventStream();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            clearTimeout(timer);
            timer = alarm();
            for (const data of events.push(decoder.decode(value, { stream: true }))) {
                if (data === "[DONE]") return;
                for (const piece of pieces(data)) {
                    ended ||= piece.kind === "end";
                    yield piece;
                }
            }
        }
    } catch (error) {
        if (signal.aborted || error instanceof Refused || error instanceof Gone) throw error;
        // After the last piece a break loses nothing but the usage.
        if (!ended) throw new Gone(String(error));
    } finally {
        clearTimeout(timer);
    }
    if (!ended) throw new Gone("the stream ended early");
}

interface Chunk {
    error?: { message?: string; code?: unknown };
    choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[];
    usage?: { prompt_tokens: number; completion_tokens: number } | null;
}

function* pieces(data: string): Generator<Piece> {
    let chunk: Chunk;
    try {
        chunk = JSON.parse(data) as Chunk;
    } catch {
        throw new Gone("an event of the stream is broken");
    }
    if (chunk.error) throw new Refused(chunk.error.message ?? "?", 500, chunk.error.code == null ? null : String(chunk.error.code), null);
    const choice = chunk.choices?.[0];
    if (choice?.delta?.reasoning_content) yield { kind: "reasoning", text: choice.delta.reasoning_content };
    if (choice?.delta?.content) yield { kind: "text", text: choice.delta.content };
    if (chunk.usage) yield { kind: "usage", prompt_tokens: chunk.usage.prompt_tokens, completion_tokens: chunk.usage.completion_tokens };
    if (choice?.finish_reason) yield { kind: "end", finish_reason: choice.finish_reason };
}

export interface Candidate {
    token: string;
    /** From 0 to 1. */
    probability: number;
}

/** The five likeliest tokens that follow the messages, whatever the sampling; empty where the server does not tell. */
export async function likeliest(asked: Pick<Asked, "model" | "messages" | "goesOn">, signal: AbortSignal): Promise<Candidate[]> {
    const one = { ...body(asked), max_tokens: 1, temperature: 0, logprobs: true, top_logprobs: 5 };
    const answer = (await (await request("/v1/chat/completions", one, signal)).json()) as {
        choices: { logprobs?: { content?: { top_logprobs?: { token: string; logprob: number }[] }[] | null } | null }[];
    };
    const top = answer.choices[0]?.logprobs?.content?.[0]?.top_logprobs ?? [];
    return top.map(({ token, logprob }) => ({ token, probability: Math.exp(logprob) }));
}
