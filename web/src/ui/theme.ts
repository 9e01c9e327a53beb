// Light or dark: the device's choice unless the person made one.

export type Theme = "auto" | "light" | "dark";

export const theme = {
    get: (): Theme => {
        const kept = localStorage.getItem("theme");
        return kept === "light" || kept === "dark" ? kept : "auto";
    },
    set: (chosen: Theme): void => {
        localStorage.setItem("theme", chosen);
        theme.apply();
    },
    apply: (): void => {
        document.documentElement.dataset.theme = theme.get();
    },
};
