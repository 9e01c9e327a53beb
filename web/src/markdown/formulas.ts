// Draws formulas as MathML. A script of its own, fetched with the first formula.

import katex from "katex";

export function draw(element: HTMLElement): void {
    const tex = element.textContent ?? "";
    try {
        katex.render(tex, element, {
            output: "mathml",
            displayMode: element.classList.contains("display"),
            throwOnError: true,
            // No links, images or attributes out of an answer, and no macros without end.
            trust: false,
            maxExpand: 200,
            maxSize: 20,
        });
    } catch {
        // What is no TeX is shown as it was written.
        element.textContent = tex;
        element.classList.add("raw");
    }
}
