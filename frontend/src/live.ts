// Live pages: an event of the server says that something changed, never what. The page then asks
// for itself again and takes over the parts that are marked, so that it always shows what a reload
// would show.

/** The shortest time between two fetches, in milliseconds. */
export const PAUSE_MS = 500;
/** Relative times grow old, and a job that ends by itself makes no event: so often a page looks. */
export const IDLE_MS = 30_000;

export interface Clock {
  now(): number;
  after(ms: number, run: () => void): void;
}

/**
 * Runs `fetch` after a call of `ask`: at once, but never sooner than PAUSE_MS after the last one
 * ended, nor sooner than four times what the last one took; asks meanwhile become one.
 */
export class Coalesced {
  private asked = false;
  private busy = false;
  private next = 0;

  constructor(
    private readonly fetch: () => Promise<void>,
    private readonly clock: Clock,
  ) {}

  ask(): void {
    if (this.asked) return;
    this.asked = true;
    this.plan();
  }

  private plan(): void {
    if (this.busy || !this.asked) return;
    this.busy = true;
    this.clock.after(Math.max(0, this.next - this.clock.now()), () => void this.run());
  }

  private async run(): Promise<void> {
    this.asked = false;
    const began = this.clock.now();
    try {
      await this.fetch();
    } catch (error) {
      console.warn("the page could not look again", error); // the next event, or the idle look, tries
    } finally {
      const ended = this.clock.now();
      this.next = ended + Math.max(PAUSE_MS, 4 * (ended - began));
      this.busy = false;
      this.plan();
    }
  }
}

/** Listens while the page is seen; a hidden page holds no connection and looks when it is back. */
export function listen(topics: string, changed: () => void, state: (open: boolean) => void): void {
  let source: EventSource | null = null;
  const address = `/events?${new URLSearchParams({ topics })}`;
  const open = (): void => {
    source = new EventSource(address);
    source.onopen = () => state(true);
    source.onerror = () => state(false);
    source.onmessage = changed;
  };
  const look = (): void => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (source === null) {
      open();
      changed();
    }
  };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => source?.close());
  if (!document.hidden) open();
  setInterval(() => {
    if (!document.hidden) changed();
    if (source?.readyState === EventSource.CLOSED) open();
  }, IDLE_MS);
}
