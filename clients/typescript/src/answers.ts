/** One response of the gateway, read without trust in its form. */

export type Body = Readonly<Record<string, unknown>>;

export class Answer {
  /** `body`: the JSON object of the response, or {}. */
  constructor(
    readonly status: number,
    readonly headers: Headers,
    readonly body: Body,
  ) {}

  static of(status: number, headers: Headers, text: string): Answer {
    return new Answer(status, headers, objectIn(text));
  }

  /** `X-Request-Id`: what support needs to find the request. */
  get request_id(): string | null {
    return this.headers.get("X-Request-Id");
  }

  /** `Retry-After` in seconds; null without one that is a number. */
  get retry_after_s(): number | null {
    const value = this.headers.get("Retry-After") ?? "";
    return /^\d+$/.test(value) ? Number(value) : null;
  }

  /** A field of the body as text, "" without it. */
  text(name: string): string {
    const value = this.body[name];
    return value === undefined || value === null ? "" : String(value);
  }
}

export const NO_ANSWER = new Answer(0, new Headers(), {});

function objectIn(text: string): Body {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}
