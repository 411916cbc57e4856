import { describe, expect, it } from "vitest";
import { Coalesced, PAUSE_MS, type Clock } from "../src/live";

/** A clock that is moved by hand. */
class Hand implements Clock {
  private at = 0;
  private waiting: { due: number; run: () => void }[] = [];
  now(): number {
    return this.at;
  }
  after(ms: number, run: () => void): void {
    this.waiting.push({ due: this.at + ms, run });
  }
  async pass(ms: number): Promise<void> {
    const end = this.at + ms;
    for (;;) {
      this.waiting.sort((a, b) => a.due - b.due);
      const next = this.waiting[0];
      if (!next || next.due > end) break;
      this.waiting.shift();
      this.at = next.due;
      next.run();
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    }
    this.at = end;
  }
}

describe("a live page", () => {
  it("looks at once, and once for many events", async () => {
    const clock = new Hand();
    let looks = 0;
    const page = new Coalesced(async () => void (looks += 1), clock);
    page.ask();
    await clock.pass(0);
    expect(looks).toBe(1);
    for (let event = 0; event < 50; event += 1) page.ask();
    await clock.pass(PAUSE_MS - 1);
    expect(looks).toBe(1);
    await clock.pass(1);
    expect(looks).toBe(2);
    await clock.pass(10 * PAUSE_MS);
    expect(looks).toBe(2);
  });

  it("misses no event that comes while it looks", async () => {
    const clock = new Hand();
    let looks = 0;
    let answer = (): void => undefined;
    const page = new Coalesced(() => {
      looks += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    }, clock);
    page.ask();
    await clock.pass(0);
    page.ask();
    await clock.pass(PAUSE_MS);
    expect(looks).toBe(1);
    answer();
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    await clock.pass(10 * PAUSE_MS);
    expect(looks).toBe(2);
  });

  it("leaves a slow server four times as long as it took", async () => {
    const clock = new Hand();
    let looks = 0;
    let answer = (): void => undefined;
    const page = new Coalesced(() => {
      looks += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    }, clock);
    page.ask();
    await clock.pass(1000);
    answer();
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    page.ask();
    await clock.pass(3900);
    expect(looks).toBe(1);
    await clock.pass(200);
    expect(looks).toBe(2);
  });

  it("goes on after a fetch that failed", async () => {
    const clock = new Hand();
    let looks = 0;
    const page = new Coalesced(async () => {
      looks += 1;
      if (looks === 1) throw new Error("offline");
    }, clock);
    page.ask();
    await clock.pass(0);
    page.ask();
    await clock.pass(PAUSE_MS);
    expect(looks).toBe(2);
  });
});
