/**
 * Who is signed in: a demonstration customer, whose tokens the development issuer makes, or an
 * account of the service identity. Access tokens are in memory alone. What renews them lives as
 * long as the tab, so that a reload goes on.
 */

import { ConnectionFailed, Undecided } from "@countersign/client";

import { watchedFetch } from "./connection.js";
import demo from "./demo.json";

export interface Customer {
  user: string;
  name: string;
  accounts: readonly string[];
  /** Where codes are sent; null where the page does not know it. */
  phone: string | null;
}

export const CUSTOMERS = demo.customers;
export const PAYEES = demo.payees;

/** A refusal of a sign-in, in words for the customer. */
export class SignInFailed extends Error {}

type Kept = { customer: Customer; refreshToken?: string };
type Tokens = { token: string; refreshToken: string };

const NAME = "countersign.wallet.session";

export class Session {
  #kept: Kept;

  private constructor(kept: Kept) {
    this.#kept = kept;
    this.#store();
  }

  get customer(): Customer {
    return this.#kept.customer;
  }

  /** Return the session of this tab, if somebody is signed in. */
  static current(): Session | null {
    const stored = sessionStorage.getItem(NAME);
    return stored ? new Session(JSON.parse(stored) as Kept) : null;
  }

  static ofDemo({ user, name, accounts, phone }: Customer): Session {
    return new Session({ customer: { user, name, accounts, phone } });
  }

  /** Sign in with a password. Throws SignInFailed, and Undecided where identity does not respond. */
  static async ofPassword(email: string, password: string): Promise<Session> {
    const tokens = await asked<Tokens>("/auth/login", { email, password });
    const { id } = await asked<{ id: string }>("/auth/profile", undefined, tokens.token);
    const customer = { user: id, name: email, accounts: [], phone: null };
    return new Session({ customer, refreshToken: tokens.refreshToken });
  }

  /** Open an account of identity. Throws SignInFailed. */
  static async register(email: string, password: string): Promise<Session> {
    await asked("/auth/register", { email, password });
    return Session.ofPassword(email, password);
  }

  /** Return a new access token. Throws SignInFailed where the session is over, else Undecided. */
  async token(): Promise<string> {
    const { refreshToken, customer } = this.#kept;
    if (refreshToken === undefined) {
      return (await json<{ token: string }>("/app/demo/token", { user: customer.user })).token;
    }
    // A refresh token is used once; two at a time would end the session.
    return navigator.locks.request(NAME, async () => {
      const tokens = await asked<Tokens>("/auth/refresh", { refreshToken: this.#kept.refreshToken });
      this.#kept = { ...this.#kept, refreshToken: tokens.refreshToken };
      this.#store();
      return tokens.token;
    });
  }

  end(): void {
    sessionStorage.removeItem(NAME);
    const { refreshToken } = this.#kept;
    if (refreshToken) void asked("/auth/logout", { refreshToken }).catch(() => undefined);
  }

  #store(): void {
    sessionStorage.setItem(NAME, JSON.stringify(this.#kept));
  }
}

/** Whether the service identity runs beside the core. */
export async function hasIdentity(): Promise<boolean> {
  const answer = await fetch("/.well-known/openid-configuration").catch(() => null);
  return answer?.ok ?? false;
}

/** Return the texts of the last messages to a phone, newest first. */
export async function inbox(phone: string): Promise<string[]> {
  const address = `/app/demo/messages?to=${encodeURIComponent(phone)}`;
  return (await json<{ messages: string[] }>(address)).messages;
}

/** Ask identity. */
async function asked<T>(path: string, body?: unknown, token?: string): Promise<T> {
  return (await json<{ data: T }>(path, body, token)).data;
}

async function json<T>(path: string, body?: unknown, token?: string): Promise<T> {
  const answer = await watchedFetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new ConnectionFailed(undefined, `${path}: no response`, error);
  });
  const found = (await answer.json().catch(() => ({}))) as T & { error?: string; details?: string };
  if (answer.status >= 500) throw new Undecided(undefined, `${path}: ${answer.status}`);
  if (!answer.ok) throw new SignInFailed(wordsOf(answer, found));
  return found;
}

function wordsOf(answer: Response, { error = "", details = "" }: { error?: string; details?: string }): string {
  switch (answer.status) {
    case 400:
      return `${error.replace("Invalid field: ", "Please check your ")}. ${details}`.trim();
    case 401:
      return "The e-mail address or the password is not right, or your session is over.";
    case 409:
      return "This e-mail address has an account already. Sign in instead.";
    case 429:
      return `Too many tries. Try again in ${answer.headers.get("Retry-After") ?? "60"} seconds.`;
    default:
      return `Sign-in was refused: ${error}`;
  }
}
