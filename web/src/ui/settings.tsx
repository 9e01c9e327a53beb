// Model, system prompt and sampling of the open conversation.

import { useState } from "preact/hooks";
import { apiKey } from "../api/client";
import { app, useApp } from "../state/app";
import type { Sampling } from "../state/types";
import { t } from "../texts";
import { AskText, Dialog } from "./dialog";

/** What the API takes of each: the lowest, the highest, and the step of the arrows. */
const FIELDS: { name: keyof Sampling; low: number; high: number; step: number }[] = [
    { name: "temperature", low: 0, high: 2, step: 0.1 },
    { name: "top_p", low: 0.01, high: 1, step: 0.01 },
    { name: "top_k", low: 0, high: 1000, step: 1 },
    { name: "min_p", low: 0, high: 1, step: 0.01 },
    { name: "repetition_penalty", low: 0.5, high: 2, step: 0.05 },
    { name: "max_tokens", low: 1, high: 1_000_000, step: 1 },
    { name: "seed", low: 0, high: 4_294_967_295, step: 1 },
];

const PRESETS: Record<keyof typeof t.presets, Sampling> = {
    default: {},
    precise: { temperature: 0.3, top_p: 0.9 },
    balanced: { temperature: 0.7, top_p: 0.95 },
    creative: { temperature: 1, min_p: 0.05 },
    greedy: { temperature: 0 },
};

/** The same values, whatever their order. What is asked of length and seed is no part of a preset that comes with the page. */
const same = (a: Sampling, b: Sampling) => FIELDS.every(({ name }) => a[name] === b[name]);

export function SettingsDialog({ onClose }: { onClose: () => void }) {
    const { current, models, presets } = useApp();
    const [naming, setNaming] = useState(false);
    const gone = current.model !== "" && !models.some(({ id }) => id === current.model);

    const own = presets.find((preset) => same(preset.sampling, current.sampling) && preset.system === current.system);
    const builtIn = (Object.keys(PRESETS) as (keyof typeof PRESETS)[]).find((name) => same(PRESETS[name], current.sampling));
    const chosen = own ? `own:${own.name}` : (builtIn ?? "custom");
    const choose = (value: string) => {
        const preset = presets.find(({ name }) => `own:${name}` === value);
        if (preset) app.change({ system: preset.system, sampling: preset.sampling });
        else if (value in PRESETS) app.change({ sampling: PRESETS[value as keyof typeof PRESETS] });
    };
    const asDefault = () => {
        const { model, system, sampling } = app.state.current;
        localStorage.setItem("defaults", JSON.stringify({ model, system, sampling }));
        onClose();
    };

    return (
        <Dialog title={t.settingsOf} onClose={onClose} class="side">
            <label class="field">
                {t.model}
                <select value={current.model} onChange={(event) => app.change({ model: event.currentTarget.value })}>
                    {gone && <option value={current.model}>{t.modelGone(current.model)}</option>}
                    {models.map(({ id }) => <option key={id} value={id}>{id}</option>)}
                </select>
            </label>
            <label class="field">
                {t.system}
                <textarea rows={4} value={current.system} onInput={(event) => app.change({ system: event.currentTarget.value })} />
                <small>{t.systemHelp}</small>
            </label>
            <label class="field">
                {t.preset}
                <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
                    {Object.entries(t.presets).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
                    {presets.map(({ name }) => <option key={name} value={`own:${name}`}>{name}</option>)}
                    {chosen === "custom" && <option value="custom">{t.presetCustom}</option>}
                </select>
            </label>
            <div class="buttons">
                <button type="button" onClick={() => setNaming(true)}>{t.presetSave}</button>
                {own && <button type="button" onClick={() => app.removePreset(own.name)}>{t.presetRemove}</button>}
            </div>
            <fieldset>
                <legend>{t.sampling}</legend>
                <p class="quiet">{t.samplingHelp}</p>
                {FIELDS.map((field) => <NumberField key={field.name} {...field} value={current.sampling[field.name]} />)}
            </fieldset>
            <label class="field">
                {t.apiKey}
                <input type="password" autocomplete="off" defaultValue={apiKey.get()} onChange={(event) => (apiKey.set(event.currentTarget.value), app.notify(null), void app.reach())} />
                <small>{t.apiKeyHelp}</small>
            </label>
            <div class="buttons"><button type="button" onClick={asDefault}>{t.asDefault}</button></div>
            {naming && (
                <AskText
                    title={t.presetSave}
                    label={t.presetName}
                    value=""
                    onSave={(name) => name.trim() && app.savePreset({ name: name.trim(), system: current.system, sampling: current.sampling })}
                    onClose={() => setNaming(false)}
                />
            )}
        </Dialog>
    );
}

/** Only values within the range reach the conversation; another is marked and said. */
function NumberField({ name, low, high, step, value }: (typeof FIELDS)[number] & { value: number | undefined }) {
    const [wrong, setWrong] = useState(false);
    const changed = (input: HTMLInputElement) => {
        const number = input.value === "" ? undefined : Number(input.value);
        const whole = step !== 1 || number === undefined || Number.isInteger(number);
        const fits = !input.validity.badInput && (number === undefined || (number >= low && number <= high && whole));
        setWrong(!fits);
        if (!fits) return;
        const { [name]: _, ...others } = app.state.current.sampling;
        app.change({ sampling: number === undefined ? others : { ...others, [name]: number } });
    };
    return (
        <label class="field row">
            {t.fields[name]}
            <input type="number" min={low} max={high} step={step === 1 ? 1 : "any"} value={value ?? ""} aria-invalid={wrong} onInput={(event) => changed(event.currentTarget)} />
            {wrong && <small class="error" role="alert">{t.range(low, high)}</small>}
        </label>
    );
}
