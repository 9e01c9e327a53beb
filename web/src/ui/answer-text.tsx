// An answer as Markdown, while it comes and afterwards. The elements are made by Blocks, at most once a frame.

import { useEffect, useRef, useState } from "preact/hooks";
import { Blocks } from "../markdown/blocks";
import type { Answering } from "../state/answering";
import type { Message } from "../state/types";
import { t } from "../texts";
import { PlainText } from "./plain-text";

/** An answer beyond this many characters is no reading matter: the rest is shown without Markdown, a part at a time. */
const MARKDOWN = 100_000;

export function AnswerText({ message, live }: { message: Message; live: Answering | undefined }) {
    const text = useRef<HTMLDivElement>(null);
    // The elements of an answer that came stay when it is complete.
    const made = useRef<Blocks | null>(null);
    const [reasoning, setReasoning] = useState(message.reasoning ?? "");
    const [rest, setRest] = useState(message.content.length > MARKDOWN);

    useEffect(() => {
        const blocks = (made.current ??= new Blocks(text.current!));
        blocks.update(message.content.slice(0, MARKDOWN), !live);
        setReasoning(message.reasoning ?? "");
        setRest(message.content.length > MARKDOWN);
        if (!live) return;

        let frame = 0;
        const show = () => {
            frame = 0;
            const { content, reasoning } = live.message;
            if (content.length <= MARKDOWN) blocks.update(content, false);
            else setRest(true);
            setReasoning(reasoning ?? "");
        };
        show();
        const leave = live.subscribe(() => (frame ||= requestAnimationFrame(show)));
        return () => {
            leave();
            cancelAnimationFrame(frame);
        };
    }, [message, live]);

    return (
        <div class="text answer" aria-busy={live !== undefined}>
            {reasoning !== "" && (
                <details class="thinking">
                    <summary>{t.thinking}</summary>
                    <PlainText text={reasoning} />
                </details>
            )}
            <div class="markdown" ref={text} />
            {rest && !live && <PlainText text={message.content.slice(MARKDOWN)} />}
            {live && <LiveLine live={live} />}
            {!live && message.content === "" && !message.error && <p class="quiet">{t.empty}</p>}
            {!live && <Ending message={message} />}
        </div>
    );
}

/** How fast it goes, twice a second. */
function LiveLine({ live }: { live: Answering }) {
    const [, again] = useState(0);
    useEffect(() => {
        const timer = setInterval(() => again((n) => n + 1), 500);
        return () => clearInterval(timer);
    }, [live]);
    const speed = live.speed();
    return (
        <p class="live-line">
            <span class="dot" aria-hidden="true" />
            {t.answering}
            {speed > 0 && ` · ${t.stats.tokens(live.pieces)} · ${t.stats.speed(speed.toFixed(1))}`}
        </p>
    );
}

/** Why the answer ended, where that was not the model's will. */
function Ending({ message }: { message: Message }) {
    if (message.error) return <p class="ending error" role="alert">{message.error}</p>;
    const why: Record<string, string> = { length: t.cut, context_full: t.cut, interrupted: t.stopped, lost: t.lost, content_filter: t.filtered };
    const said = why[message.finish_reason ?? ""];
    return said ? <p class="ending">{said}</p> : null;
}
