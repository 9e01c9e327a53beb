// To the clipboard.

import { t } from "../texts";

/** Falls back to a selection where the page is not served from a secure address. */
export async function copy(text: string): Promise<void> {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "off-screen";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
}

/** The buttons of code blocks, which Markdown makes without the help of components. */
export function copyCode(root: Document): void {
    root.addEventListener("click", (event) => {
        const button = (event.target as Element).closest?.(".copy-code");
        const code = button?.closest(".code")?.querySelector("code");
        if (!button || !code) return;
        void copy(code.textContent ?? "").then(() => {
            button.textContent = t.copied;
            setTimeout(() => (button.textContent = t.copyCode), 1500);
        });
    });
}
