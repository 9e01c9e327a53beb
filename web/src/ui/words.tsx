// The answer word by word. For the one that is chosen the server says which five tokens were likeliest in its place, and each of
// them can be the beginning of another branch.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { likeliest, type Candidate } from "../api/chat";
import { chatMessages } from "../state/answering";
import { app } from "../state/app";
import { pathTo } from "../state/tree";
import type { Message } from "../state/types";
import { t } from "../texts";

/** An answer in words is shown up to here. */
const LONGEST = 50_000;

interface Word {
    text: string;
    /** Characters of the answer that stand before the word. A blank before it is the token's own. */
    before: number;
}

interface Shown {
    word: number;
    candidates: Candidate[] | null;
    error?: string;
}

export function Words({ message, busy, onDone }: { message: Message; busy: boolean; onDone: () => void }) {
    const words = useMemo(() => split(message.content.slice(0, LONGEST)), [message.content]);
    const [at, setAt] = useState(0);
    const [shown, setShown] = useState<Shown | null>(null);
    const frame = useRef<HTMLDivElement>(null);
    const box = useRef<HTMLDivElement>(null);
    const asked = useRef(new AbortController());
    useEffect(() => {
        frame.current?.querySelector<HTMLElement>("[tabindex='0']")?.focus();
        return () => asked.current.abort();
    }, []);

    // The candidates come below the text, which may be long.
    useEffect(() => box.current?.scrollIntoView({ block: "nearest" }), [shown]);

    const ask = async (i: number) => {
        asked.current.abort();
        const abort = (asked.current = new AbortController());
        setAt(i);
        setShown({ word: i, candidates: null });
        const begun = message.content.slice(0, words[i]!.before);
        const path = pathTo(app.state.messages, message.parent);
        const { model, system } = app.state.current;
        const messages = chatMessages(system, begun === "" ? path : [...path, { ...message, content: begun }]);
        try {
            const candidates = await likeliest({ model, messages, goesOn: begun !== "" }, abort.signal);
            setShown({ word: i, candidates });
        } catch (error) {
            if (!abort.signal.aborted) setShown({ word: i, candidates: [], error: t.refused((error as Error).message) });
        }
    };
    const move = (event: KeyboardEvent) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (event.key === "Escape") {
            event.preventDefault();
            onDone();
        } else if (step) {
            event.preventDefault();
            const to = Math.min(Math.max(at + step, 0), words.length - 1);
            setAt(to);
            (frame.current?.children[to] as HTMLElement | undefined)?.focus();
        }
    };
    return (
        <div class="words">
            <p class="quiet">{t.likeliest.help}</p>
            <div class="word-row" ref={frame} role="toolbar" aria-label={t.words} onKeyDown={move}>
                {words.map(({ text }, i) => (
                    <button key={i} type="button" class={shown?.word === i ? "word chosen" : "word"} tabIndex={i === at ? 0 : -1} onClick={() => void ask(i)}>
                        {text}
                    </button>
                ))}
            </div>
            {shown && (
                <div class="candidates" ref={box} role="status">
                    <h3>{t.likeliest.at(words[shown.word]!.text)}</h3>
                    {shown.candidates === null && <p class="quiet">{t.likeliest.asking}</p>}
                    {shown.candidates?.length === 0 && <p class="quiet">{shown.error ?? t.likeliest.none}</p>}
                    <ul>
                        {shown.candidates?.map(({ token, probability }) => (
                            <li key={token}>
                                <button type="button" disabled={busy || token.includes("\uFFFD")} title={t.likeliest.choose(token)} onClick={() => {
                                    onDone();
                                    app.answer(message.parent!, message.content.slice(0, words[shown.word]!.before) + token);
                                }}>
                                    <code>{visible(token)}</code>
                                    <meter min={0} max={1} value={probability} aria-hidden="true" />
                                    <span>{t.likeliest.percent(probability)}</span>
                                </button>
                            </li>
                        ))}
                    </ul>
                </div>
            )}
            <div class="buttons"><button type="button" onClick={onDone}>{t.wordsDone}</button></div>
        </div>
    );
}

function split(text: string): Word[] {
    return [...text.matchAll(/\S+/g)].map((match) => {
        const blank = text[match.index - 1] === " " ? 1 : 0;
        return { text: match[0], before: match.index - blank };
    });
}

/** White space that can be seen. */
const visible = (token: string) => token.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅";
