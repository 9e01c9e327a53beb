// Drawn in the colour of the text around them.

const paths = {
    list: "M4 6h16M4 12h16M4 18h16",
    dots: "M5 12h.01M12 12h.01M19 12h.01",
    settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4.5v5M6 14.5v5",
    send: "M12 19V5M6 11l6-6 6 6",
    stop: "M7 7h10v10H7z",
    attach: "M20 11.5l-8.2 8.2a5 5 0 01-7.1-7.1l8.5-8.5a3.3 3.3 0 014.7 4.7l-8.5 8.5a1.7 1.7 0 01-2.4-2.4l7.8-7.8",
    close: "M6 6l12 12M18 6L6 18",
    down: "M12 5v14M6 13l6 6 6-6",
    previous: "M15 5l-7 7 7 7",
    next: "M9 5l7 7-7 7",
    copy: "M9 9h11v11H9zM5 15H4V4h11v1",
    edit: "M4 20l1-4L16.5 4.5a2 2 0 013 3L8 19z",
    again: "M20 11a8 8 0 10-2.3 6.3M20 5v6h-6",
    continue: "M5 6h14M5 12h9M5 18h5M17 15l4 3-4 3",
    words: "M4 18h4v-5H4zM10 18h4V6h-4zM16 18h4v-8h-4z",
} as const;

export type IconName = keyof typeof paths;

export const Icon = ({ name }: { name: IconName }) => (
    <svg class={`icon icon-${name}`} viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
        <path d={paths[name]} />
    </svg>
);

/** A button that is an icon, with its meaning for those who do not see it and as a tooltip. */
export function IconButton(props: { icon: IconName; label: string; onClick: (event: MouseEvent) => void; class?: string; disabled?: boolean; expanded?: boolean; controls?: string }) {
    return (
        <button
            type="button"
            class={`icon-button ${props.class ?? ""}`}
            aria-label={props.label}
            title={props.label}
            onClick={props.onClick}
            disabled={props.disabled}
            aria-expanded={props.expanded}
            aria-controls={props.controls}
        >
            <Icon name={props.icon} />
        </button>
    );
}
