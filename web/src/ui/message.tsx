// One message: its text, its branches, and what can be done with it.

import { Component } from "preact";
import { useState } from "preact/hooks";
import type { Answering } from "../state/answering";
import { app } from "../state/app";
import type { Message } from "../state/types";
import { t } from "../texts";
import { AnswerText } from "./answer-text";
import { copy } from "./copy";
import { Edit } from "./edit";
import { IconButton } from "./icons";
import { QuestionText } from "./question-text";
import { Stats } from "./stats";
import { Words } from "./words";

interface Props {
    message: Message;
    siblings: Message[];
    /** The answer on its way, if it is this one. */
    live: Answering | undefined;
    /** Whether any answer of the conversation is on its way. */
    busy: boolean;
    last: boolean;
    context: number | null;
}

/** Drawn again only when something of it changed: a long conversation stays quick. */
export class MessageView extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
        const { message, live, busy, last, context, siblings } = this.props;
        const same = message === next.message && live === next.live && busy === next.busy && last === next.last && context === next.context;
        return !same || siblings.length !== next.siblings.length;
    }

    override render() {
        return <View {...this.props} />;
    }
}

function View({ message, siblings, live, busy, last, context }: Props) {
    const [mode, setMode] = useState<"text" | "edit" | "words">("text");
    const isQuestion = message.role === "user";
    const back = () => setMode("text");
    return (
        <li class={`message ${message.role} ${last ? "last" : ""}`} data-id={message.id}>
            <h2 class={isQuestion ? "off-screen" : "who"}>{isQuestion ? t.you : t.assistant(message.model ?? "")}</h2>
            {mode === "edit" ? (
                <Edit message={message} busy={busy} onDone={back} />
            ) : mode === "words" ? (
                <Words message={message} busy={busy} onDone={back} />
            ) : isQuestion ? (
                <QuestionText text={message.content} />
            ) : (
                <AnswerText message={message} live={live} />
            )}
            {mode === "text" && !live && (
                <div class="below">
                    <Branches message={message} siblings={siblings} busy={busy} />
                    {!isQuestion && <Stats message={message} context={context} />}
                    <Actions message={message} busy={busy} last={last} onEdit={() => setMode("edit")} onWords={() => setMode("words")} />
                </div>
            )}
        </li>
    );
}

function Branches({ message, siblings, busy }: { message: Message; siblings: Message[]; busy: boolean }) {
    if (siblings.length < 2) return null;
    const at = siblings.findIndex(({ id }) => id === message.id);
    const to = (step: number) => () => app.show(siblings[at + step]!.id);
    return (
        <div class="branches" role="group" aria-label={t.branch(at + 1, siblings.length)}>
            <IconButton icon="previous" label={t.previousBranch} disabled={busy || at === 0} onClick={to(-1)} />
            <span>{at + 1}/{siblings.length}</span>
            <IconButton icon="next" label={t.nextBranch} disabled={busy || at === siblings.length - 1} onClick={to(1)} />
        </div>
    );
}

function Actions(props: { message: Message; busy: boolean; last: boolean; onEdit: () => void; onWords: () => void }) {
    const { message, busy, last } = props;
    const isAnswer = message.role === "assistant";
    // What follows an answer in the middle stays as it is: the longer answer is a branch beside it.
    const goOn = () => (last ? app.continue(message) : app.answer(message.parent!, message.content));
    return (
        <div class="actions">
            <IconButton icon="copy" label={t.copy} onClick={() => void copy(message.content).then(() => app.notify(t.copied))} />
            <IconButton icon="edit" label={isAnswer ? t.editAnswer : t.editQuestion} disabled={busy} onClick={props.onEdit} />
            {isAnswer && <IconButton icon="again" label={t.regenerate} disabled={busy} onClick={() => app.answer(message.parent!)} />}
            {/* A question whose answer never came, as after an import. */}
            {!isAnswer && last && <IconButton icon="again" label={t.regenerate} disabled={busy} onClick={() => app.answer(message.id)} />}
            {isAnswer && <IconButton icon="continue" label={t.continue} disabled={busy} onClick={goOn} />}
            {isAnswer && message.content !== "" && <IconButton icon="words" label={t.words} disabled={busy} onClick={props.onWords} />}
        </div>
    );
}
