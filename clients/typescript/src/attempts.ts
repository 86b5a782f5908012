/**
 * Idempotency keys: one for each attempt to pay, kept until its outcome is definite.
 *
 * An attempt is a transaction with its parameters (amount, currency, both accounts). A key is
 * random, is stored before it is sent, and is the same for each try of the attempt, also after a
 * reload or a restart.
 */

/** Where keys are kept. Both methods are atomic, for all calls, tabs and processes that share it. */
export interface Attempts {
  /**
   * Return the stored key of an attempt; store a new one first if there is none. `parameters` is a
   * digest: another one than the stored is another attempt, whose new key replaces the stored one.
   */
  keyOf(transaction_id: string, parameters: string): string | Promise<string>;
  /** Remove the key of a transaction, if it is this one. */
  forget(transaction_id: string, key: string): void | Promise<void>;
}

/** Some 3 MB. Payments end by their own deadlines within hours; their keys are of no use then. */
export const MOST_IN_MEMORY = 10_000;

type Kept = readonly [parameters: string, key: string];

/** Keeps keys while the page or the process lives: those of the last unfinished attempts. */
export class MemoryAttempts implements Attempts {
  readonly #kept = new Map<string, Kept>();
  readonly #most: number;

  constructor(most = MOST_IN_MEMORY) {
    this.#most = most;
  }

  keyOf(transaction_id: string, parameters: string): string {
    const kept = this.#kept.get(transaction_id);
    if (kept?.[0] === parameters) return kept[1];
    const key = crypto.randomUUID();
    this.#kept.set(transaction_id, [parameters, key]);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#most) this.#kept.delete(oldest!);
    return key;
  }

  forget(transaction_id: string, key: string): void {
    if (this.#kept.get(transaction_id)?.[1] === key) this.#kept.delete(transaction_id);
  }
}

/** Keeps keys in a browser's localStorage, over reloads, for all tabs of a site. */
export class StorageAttempts implements Attempts {
  readonly #storage: Storage;

  constructor(storage: Storage = localStorage) {
    this.#storage = storage;
  }

  keyOf(transaction_id: string, parameters: string): Promise<string> {
    const name = nameOf(transaction_id);
    return alone(name, () => {
      const stored = this.#storage.getItem(name);
      const kept = stored === null ? null : keptIn(stored, name);
      if (kept?.[0] === parameters) return kept[1];
      const key = crypto.randomUUID();
      this.#storage.setItem(name, JSON.stringify([parameters, key]));
      return key;
    });
  }

  forget(transaction_id: string, key: string): Promise<void> {
    const name = nameOf(transaction_id);
    return alone(name, () => {
      const stored = this.#storage.getItem(name);
      if (stored !== null && keptIn(stored, name)[1] === key) this.#storage.removeItem(name);
    });
  }
}

/** The store of a client that names none: localStorage in a page, else memory. */
export function usualAttempts(): Attempts {
  return typeof document === "undefined" ? new MemoryAttempts() : new StorageAttempts();
}

/** Read what a store has written. Throws for anything else: a payment may exist under its key. */
export function keptIn(text: string, place: string): Kept {
  try {
    const [parameters, key] = JSON.parse(text) as [unknown, unknown];
    if (typeof parameters === "string" && typeof key === "string") return [parameters, key];
  } catch {
    // The same error as for JSON of another form.
  }
  throw new Error(`${place} is no key of an attempt; its payment may exist`);
}

const nameOf = (transaction_id: string) => `countersign.attempt.${transaction_id}`;

/** Do something while no other tab does it: browsers do not promise that of localStorage. */
async function alone<T>(name: string, action: () => T): Promise<T> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  return locks ? ((await locks.request(name, async () => action())) as T) : action();
}
