/** One request by fetch, and the lines of an event stream. */

import { Answer } from "./answers.js";
import { ConnectionFailed } from "./errors.js";

export interface Request {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  body?: string;
}

/** An event of a stream, as browsers read it. */
export interface StreamEvent {
  name: string;
  id: string;
  data: string;
  /** Milliseconds that the gateway asks to wait before the next stream; 0 without. */
  retryMs: number;
}

export interface Stream {
  headers: Headers;
  events: AsyncIterable<StreamEvent>;
}

/** The gateway sends something every 15 s: after twice that the connection is dead. */
const LONGEST_SILENCE_MS = 30_000;
const MOST_CHARACTERS_OF_AN_EVENT = 65_536;

export class Transport {
  readonly #fetch: typeof fetch;

  constructor(fetcher: typeof fetch) {
    this.#fetch = fetcher;
  }

  /** Send a request and read its response. No response is a value, for it is no decision. */
  async send(request: Request, withinMs: number, signal?: AbortSignal): Promise<Answer | ConnectionFailed> {
    const limit = new Limit(withinMs, signal);
    try {
      const response = await this.#open(request, limit.signal);
      return Answer.of(response.status, response.headers, await response.text());
    } catch (error) {
      return failed(error, signal);
    } finally {
      limit.end();
    }
  }

  /** Open a stream of events; an answer that is none is returned as for `send`. */
  async stream(request: Request, withinMs: number, signal?: AbortSignal): Promise<Stream | Answer | ConnectionFailed> {
    const limit = new Limit(withinMs, signal);
    try {
      const response = await this.#open(request, limit.signal);
      const type = response.headers.get("Content-Type") ?? "";
      if (response.ok && response.body && type.startsWith("text/event-stream")) {
        return { headers: response.headers, events: eventsOf(response.body, limit, signal) };
      }
      const answer = Answer.of(response.status, response.headers, await response.text());
      limit.end();
      return answer;
    } catch (error) {
      limit.end();
      return failed(error, signal);
    }
  }

  #open(request: Request, signal: AbortSignal): Promise<Response> {
    const { url, ...init } = request;
    // A token is never forwarded to another address.
    const always = { redirect: "manual", credentials: "omit", cache: "no-store" } as const;
    return this.#fetch.call(globalThis, url, { ...init, ...always, signal });
  }
}

/** Aborts after a time, or with the caller's signal. */
class Limit {
  readonly #controller = new AbortController();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  readonly #outer: AbortSignal | undefined;
  readonly #abort = () => this.#controller.abort(this.#outer?.reason);

  constructor(ms: number, outer?: AbortSignal) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#abort, { once: true });
    if (outer?.aborted) this.#abort();
    this.#timers.push(setTimeout(() => this.#late(ms), ms));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Abort also after this time, from now on. */
  silent(ms: number): void {
    clearTimeout(this.#timers[1]);
    this.#timers[1] = setTimeout(() => this.#late(ms), ms);
  }

  end(): void {
    this.#timers.forEach(clearTimeout);
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  #late(ms: number): void {
    this.#controller.abort(new DOMException(`nothing within ${Math.round(ms)} ms`, "TimeoutError"));
  }
}

function failed(error: unknown, signal: AbortSignal | undefined): ConnectionFailed {
  signal?.throwIfAborted();
  const words = error instanceof Error ? error.message : String(error);
  return new ConnectionFailed(undefined, `no response: ${words}`, error);
}

/** Yield the events of a stream until it ends or breaks; throw only the caller's own reason. */
async function* eventsOf(body: ReadableStream<Uint8Array>, limit: Limit, signal?: AbortSignal) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let left = "";
  try {
    while (left.length <= MOST_CHARACTERS_OF_AN_EVENT) {
      limit.silent(LONGEST_SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (left + decoder.decode(value, { stream: true })).replaceAll("\r\n", "\n").split("\n\n");
      left = blocks.pop() ?? "";
      yield* blocks.map(eventIn);
    }
  } catch {
    signal?.throwIfAborted();
  } finally {
    limit.end();
    reader.cancel().catch(() => undefined);
  }
}

function eventIn(block: string): StreamEvent {
  const lines = block.split("\n").map((line) => /^([^:]*):? ?(.*)$/.exec(line) ?? ["", "", ""]);
  const of = (field: string) => lines.filter(([, name]) => name === field).map(([, , value]) => value);
  return {
    name: of("event").at(-1) ?? "message",
    id: of("id").at(-1) ?? "",
    data: of("data").join("\n"),
    retryMs: Number(of("retry").at(-1)) || 0,
  };
}
