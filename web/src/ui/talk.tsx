// The messages of a conversation, in a frame that scrolls.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { app, useApp } from "../state/app";
import { childrenOf, pathTo } from "../state/tree";
import { t } from "../texts";
import { Empty } from "./empty";
import { Follow } from "./follow";
import { IconButton } from "./icons";
import { MessageView } from "./message";

export function Talk() {
    const { current, messages, models } = useApp();
    const frame = useRef<HTMLDivElement>(null);
    const follow = useRef<Follow | null>(null);
    const [atEnd, setAtEnd] = useState(true);

    useEffect(() => {
        const made = new Follow(frame.current!, setAtEnd);
        follow.current = made;
        made.end();
        // Whatever makes the text or the frame another height: an answer, a font, a keyboard on the screen.
        const watch = new ResizeObserver(() => made.grown());
        watch.observe(frame.current!);
        watch.observe(frame.current!.firstElementChild!);
        return () => {
            watch.disconnect();
            made.close();
        };
    }, []);
    // What the person has just sent is shown, wherever they were reading.
    const live = app.live();
    useEffect(() => {
        if (live) follow.current?.end();
    }, [live]);

    const path = useMemo(() => pathTo(messages, current.leaf), [messages, current.leaf]);
    const children = useMemo(() => childrenOf(messages), [messages]);
    const context = models.find(({ id }) => id === current.model)?.context ?? null;

    return (
        <div class="talk-frame">
            <div class="scroll" ref={frame} tabIndex={0} role="region" aria-label={t.log}>
                <div class="column">
                    {path.length === 0 ? (
                        <Empty model={current.model} onAsk={(question) => app.ask(question)} />
                    ) : (
                        <ol class="talk">
                            {path.map((message, i) => (
                                <MessageView
                                    key={message.id}
                                    message={message}
                                    siblings={children.get(message.parent) ?? [message]}
                                    live={live?.message.id === message.id ? live : undefined}
                                    busy={live !== undefined}
                                    last={i === path.length - 1}
                                    context={context}
                                />
                            ))}
                        </ol>
                    )}
                </div>
            </div>
            {!atEnd && <IconButton icon="down" label={t.toNewest} class="to-end" onClick={() => follow.current?.end()} />}
            <p class="off-screen" role="status">{live ? t.answering : path.at(-1)?.role === "assistant" ? t.answered : ""}</p>
        </div>
    );
}
