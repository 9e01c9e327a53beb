// Which language the page speaks: the one chosen, or else the first of the browser's languages that there is; English for
// people who have neither.

import { en } from "./en";
import { ko, type Texts } from "./ko";

export type Language = "ko" | "en";
export type { Texts };

export const chosenLanguage = (): Language | null => {
    const kept = localStorage.getItem("language");
    return kept === "ko" || kept === "en" ? kept : null;
};

export function languageOf(wanted: readonly string[]): Language {
    for (const tag of wanted) {
        const language = tag.toLowerCase().split("-")[0];
        if (language === "ko" || language === "en") return language;
    }
    return "en";
}

export const t: Texts = (chosenLanguage() ?? languageOf(navigator.languages)) === "ko" ? ko : en;
