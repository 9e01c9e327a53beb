// A text box as high as its text. The largest height is the style sheet's.

export function grow(area: HTMLTextAreaElement): void {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
}
