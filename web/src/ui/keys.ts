// Shortcuts of the whole page. They hang on Alt and on where a key is, so that neither a Korean nor a Latin layout, nor an
// input method, changes them.

interface Actions {
    new: () => void;
    search: () => void;
    list: () => void;
    settings: () => void;
    keys: () => void;
    write: () => void;
    stop: () => void;
}

const CODES: Record<string, keyof Actions> = { KeyN: "new", KeyK: "search", KeyL: "list", Comma: "settings", Slash: "write" };

export function listenForKeys(actions: Actions): () => void {
    const listener = (event: KeyboardEvent) => {
        if (event.isComposing || event.defaultPrevented) return;
        if (event.key === "Escape" && !document.querySelector("dialog[open]")) return actions.stop();
        const typing = (event.target as Element).matches?.("input, textarea, select");
        if (event.key === "?" && !typing) return actions.keys();
        if (!event.altKey || event.ctrlKey || event.metaKey) return;
        const action = CODES[event.code];
        if (!action || document.querySelector("dialog[open]")) return;
        event.preventDefault();
        actions[action]();
    };
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
}
