// What an answer took.

import type { Message, Usage } from "../state/types";
import { t } from "../texts";

/** Seconds between the first token and the last that can be told apart from how the network hands them over. */
const MEASURABLE = 0.1;

/** Tokens a second. The first token is not part of the time between tokens; an answer that is there at once is timed whole. */
function speed({ completion_tokens, first, seconds }: Usage): number {
    if (seconds >= MEASURABLE) return (completion_tokens - 1) / seconds;
    return completion_tokens / Math.max(first + seconds, 0.001);
}

export function Stats({ message, context }: { message: Message; context: number | null }) {
    const { usage } = message;
    if (!usage) return null;
    const { prompt_tokens, completion_tokens, first } = usage;
    const said = [t.stats.tokens(completion_tokens)];
    if (completion_tokens > 1) said.push(t.stats.speed(speed(usage).toFixed(1)));
    said.push(t.stats.context(prompt_tokens + completion_tokens, context));
    const more = [t.stats.first(first.toFixed(2)), ...(message.seed === undefined ? [] : [t.stats.seed(message.seed)])].join(" · ");
    return <p class="stats" title={more}>{said.join(" · ")}</p>;
}
