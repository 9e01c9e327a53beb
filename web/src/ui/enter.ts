// Which Enter sends.

/** A phone or a tablet without a mouse: its Enter is the only way to a new line. */
const isTouch = () => matchMedia("(hover: none) and (pointer: coarse)").matches;

/**
 * Whether the key sends what was written. One that belongs to an input method never does: while a syllable is composed,
 * browsers mark the key as composing, and Safari, which ends the composition first, still gives it the code 229.
 */
export function sends(event: KeyboardEvent): boolean {
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return false;
    if (event.ctrlKey || event.metaKey) return true;
    return !event.shiftKey && !event.altKey && !isTouch();
}
