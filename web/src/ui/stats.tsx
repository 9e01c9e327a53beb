// What an answer took.

import type { Message } from "../state/types";
import { t } from "../texts";

export function Stats({ message, context }: { message: Message; context: number | null }) {
    const { usage } = message;
    if (!usage) return null;
    const { prompt_tokens, completion_tokens, first, seconds } = usage;
    const said = [t.stats.tokens(completion_tokens)];
    // The first token is not part of the time between tokens.
    if (completion_tokens > 1 && seconds > 0) said.push(t.stats.speed(((completion_tokens - 1) / seconds).toFixed(1)));
    said.push(t.stats.context(prompt_tokens + completion_tokens, context));
    const more = [t.stats.first(first.toFixed(2)), ...(message.seed === undefined ? [] : [t.stats.seed(message.seed)])].join(" · ");
    return <p class="stats" title={more}>{said.join(" · ")}</p>;
}
