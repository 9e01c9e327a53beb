// Which models the server has, and whether it is there at all.

import type { Model } from "../state/types";
import { request } from "./client";

/** One entry of `/v1/models`. Servers name the context differently. */
interface Entry {
    id: string;
    max_model_len?: number;
    context_length?: number;
    context_window?: number;
    meta?: { n_ctx?: number } | null;
}

export async function models(signal: AbortSignal): Promise<Model[]> {
    const { data } = (await (await request("/v1/models", null, signal)).json()) as { data: Entry[] };
    return data.map((entry) => ({
        id: entry.id,
        context: entry.max_model_len ?? entry.context_length ?? entry.context_window ?? entry.meta?.n_ctx ?? null,
    }));
}

/** Returns when the server answers: asked again after 1, 2, 4, … and at most 10 seconds. */
export async function serverIsBack(signal: AbortSignal): Promise<void> {
    for (let wait = 1000; ; wait = Math.min(wait * 2, 10_000)) {
        await pause(wait, signal);
        try {
            await request("/health", null, AbortSignal.any([signal, AbortSignal.timeout(5000)]));
            return;
        } catch (error) {
            if (signal.aborted) throw error;
        }
    }
}

export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, milliseconds);
        signal.addEventListener("abort", () => {
            clearTimeout(timer);
            reject(signal.reason);
        }, { once: true });
    });
}
