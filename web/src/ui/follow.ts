// Keeps the end in sight while an answer grows, until the reader looks elsewhere.

/** A reader this near to the end, in pixels, is at the end. */
const NEAR = 48;

export class Follow {
    following = true;
    private lastTop = 0;

    constructor(
        private readonly frame: HTMLElement,
        private readonly changed: (atEnd: boolean) => void,
    ) {
        frame.addEventListener("scroll", this.scrolled, { passive: true });
        frame.addEventListener("wheel", this.wheeled, { passive: true });
    }

    /** Whether the end is in sight. */
    private atEnd(): boolean {
        return this.frame.scrollHeight - this.frame.clientHeight - this.frame.scrollTop < NEAR;
    }

    private scrolled = (): void => {
        const { scrollTop } = this.frame;
        const up = scrollTop < this.lastTop - 1;
        this.lastTop = scrollTop;
        // Text that is made shorter moves the view up as well: that is not the reader.
        if (this.atEnd()) this.to(true);
        else if (up) this.to(false);
    };

    /** A turn of the wheel upwards counts before anything has moved. */
    private wheeled = (event: WheelEvent): void => {
        if (event.deltaY < 0 && this.frame.scrollHeight > this.frame.clientHeight) this.to(false);
    };

    private to(following: boolean): void {
        if (this.following === following) return;
        this.following = following;
        this.changed(following);
    }

    /** The text has grown. */
    grown(): void {
        if (this.following) this.end();
    }

    /** Goes to the end, and follows it from now on. */
    end(): void {
        this.to(true);
        this.frame.scrollTop = this.frame.scrollHeight;
        this.lastTop = this.frame.scrollTop;
    }

    close(): void {
        this.frame.removeEventListener("scroll", this.scrolled);
        this.frame.removeEventListener("wheel", this.wheeled);
    }
}
