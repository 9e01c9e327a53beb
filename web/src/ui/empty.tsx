// What stands where nothing was said yet: what can be asked of this model, and what it is bad at.

import { t } from "../texts";

export function Empty({ model, onAsk }: { model: string; onAsk: (question: string) => void }) {
    const about = model === "mini" ? t.mini : t.compact;
    return (
        <section class="empty">
            <h2>{model ? t.greetingModel(model) : t.greeting}</h2>
            <p>{about.about}</p>
            <h3>{t.tryThis}</h3>
            <ul class="try">
                {about.ask.map((question) => (
                    <li key={question}><button type="button" onClick={() => onAsk(question)}>{question}</button></li>
                ))}
            </ul>
            <h3>{t.weakAt}</h3>
            <ul class="weak">{about.weak.map((what) => <li key={what}>{what}</li>)}</ul>
            <p class="quiet">{t.about}</p>
        </section>
    );
}
