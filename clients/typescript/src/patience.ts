/** The time of one call, over all its tries. */

import type { Undecided } from "./errors.js";

/** Time and chance. Tests have their own. */
export interface Clock {
  /** Milliseconds since any moment; never goes back. */
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** From 0 to 1. */
  chance(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  chance: () => Math.random(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const abort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", abort, { once: true });
    }),
};

/** The gateway responds within 10 s. */
const LONGEST_TRY_MS = 15_000;
/** Timers of JavaScript know no longer time, and end at once with one. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Patience {
  readonly #clock: Clock;
  #ends: number;

  constructor(
    clock: Clock,
    leftMs: number,
    readonly signal: AbortSignal | undefined,
  ) {
    signal?.throwIfAborted();
    this.#clock = clock;
    this.#ends = clock.now() + leftMs;
  }

  now(): number {
    return this.#clock.now();
  }

  get leftMs(): number {
    return Math.min(LONGEST_TIMER_MS, Math.max(100, this.#ends - this.now()));
  }

  /** How long the next try may take. */
  get ofATryMs(): number {
    return Math.min(LONGEST_TRY_MS, this.leftMs);
  }

  /** Leave out the time in which the user is asked: the deadline is about the system. */
  async without<T>(question: () => T | Promise<T>): Promise<T> {
    const began = this.now();
    const answer = await this.unlessAborted(Promise.resolve(question()));
    this.#ends += this.now() - began;
    return answer;
  }

  /** Wait for a function of the application, but not longer than the caller's signal allows. */
  unlessAborted<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(this.signal?.reason);
      this.signal?.addEventListener("abort", abort, { once: true });
      if (this.signal?.aborted) abort();
      work.then(resolve, reject).finally(() => this.signal?.removeEventListener("abort", abort));
    });
  }

  /**
   * Wait before the next try; throw the error if the time does not suffice. Half of the pause is
   * chance, so that clients which failed together do not return together.
   */
  async pause(error: Undecided, longestMs: number): Promise<void> {
    const least = (error.retry_after_s ?? 0) * 1000 + this.#clock.chance() * 250;
    const pause = Math.max(longestMs * (0.5 + this.#clock.chance() / 2), least);
    this.signal?.throwIfAborted();
    if (this.now() + pause >= this.#ends) throw error;
    await this.#clock.sleep(pause, this.signal);
  }
}
