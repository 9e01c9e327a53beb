// Colours code. A script of its own, fetched with the first code block that names its language.

import core from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import kotlin from "highlight.js/lib/languages/kotlin";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const languages = { bash, cpp, css, diff, go, ini, java, javascript, json, kotlin, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) core.registerLanguage(name, language);

/** Longer code stays plain: colouring it would stop the page. */
const LONGEST = 50_000;

/** Colours the text of `element` if its language is known. Everything stays escaped text in spans. */
export function highlight(element: HTMLElement, language: string): void {
    const code = element.textContent ?? "";
    if (code.length > LONGEST || !core.getLanguage(language)) return;
    element.innerHTML = core.highlight(code, { language, ignoreIllegals: true }).value;
}
