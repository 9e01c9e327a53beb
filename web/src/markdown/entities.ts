// What `markdown-it` wants of the package `entities`, by the browser's own knowledge of HTML's named characters.

export function decodeHTML(text: string): string {
    return text.replace(/&(?:[a-z][a-z0-9]{1,31}|#x[0-9a-f]{1,6}|#[0-9]{1,7});/gi, (entity) => {
        const area = document.createElement("textarea");
        // Only a name or a number gets here, so that nothing is parsed as an element.
        area.innerHTML = entity;
        return area.value;
    });
}

export const decodeHTMLStrict = decodeHTML;
