/** The client: what a call does, in one flow. Decision 0030 has the reasons. */

import { Answer, NO_ANSWER } from "./answers.js";
import { type Attempts, usualAttempts } from "./attempts.js";
import * as errors from "./errors.js";
import { Encryption, KEYS_PATH } from "./encryption.js";
import { digestOf, type Order, orderOf } from "./orders.js";
import { type Clock, Patience, systemClock } from "./patience.js";
import type { CodeRequired, Confirmed, Payment, PaymentRequest } from "./results.js";
import { codeRequiredOf, confirmedOf, paymentOf } from "./results.js";
import { type Request, Transport } from "./transport.js";

/** An access token, or a function that returns one: called at first, and again after a 401. */
export type Token = string | (() => string | Promise<string>);

/** Asks the user for a code; null for none. */
export type CodeSource<Code = string | null | undefined> = (required: CodeRequired) => Code | Promise<Code>;

export interface ClientOptions {
  token?: Token;
  /** Where idempotency keys are kept: in a page localStorage, else memory, if not given. */
  attempts?: Attempts;
  /** Encrypt confirmations for Countersign's confirm service: for the token's subject, or for this one. */
  encryption?: boolean | { subject: string };
  fetch?: typeof fetch;
  /** For tests. */
  clock?: Clock;
}

export interface CallOptions {
  /** Bounds all tries together, without the time in which the user is asked for a code. */
  deadlineMs?: number;
  /** Ends the call with the signal's reason. The payment may exist: call again. */
  signal?: AbortSignal;
}

export interface ConfirmOptions extends CallOptions {
  /** Called where a code is needed, and again after a wrong one. */
  code?: CodeSource;
}

export interface WaitOptions extends CallOptions {
  /** Called with each state of the payment that is read, the last one included. */
  onState?: (payment: Payment) => void;
}

/** After so many wrong codes only a new one helps. */
const CODES_A_CHALLENGE = 5;
const LONGEST_PAUSE_MS = 8_000;
const LONGEST_PAUSE_BETWEEN_READS_MS = 3_000;

type Call = Omit<Request, "url" | "body"> & { path: string; body?: { transaction_id: string } };
type Result = Confirmed | CodeRequired;
type Codes = { otp_code: string | undefined; source: CodeSource | undefined };
type Position = { lastEventId: string; retryMs: number };

/** Confirms payments, reads them and follows them. Calls may run at once. */
export class Client {
  readonly #base: string;
  readonly #token: Token | undefined;
  readonly #attempts: Attempts;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #encryption: Encryption | undefined;
  #held: string | Promise<string> | undefined;
  #hasStreams = true;

  constructor(baseUrl: string | URL, options: ClientOptions = {}) {
    const base = new URL(baseUrl);
    if (!/^https?:$/.test(base.protocol)) throw new TypeError(`no address of HTTP: ${base}`);
    this.#base = base.href.replace(/\/+$/, "");
    this.#token = options.token;
    this.#attempts = options.attempts ?? usualAttempts();
    this.#transport = new Transport(options.fetch ?? fetch);
    this.#clock = options.clock ?? systemClock;
    const { encryption } = options;
    if (encryption) this.#encryption = new Encryption(encryption === true ? undefined : encryption.subject);
  }

  /**
   * Confirm a payment: the same call again is the same attempt, and never a second payment.
   *
   * Where a code is needed, `code` is called, and again after a wrong code; without `code`, or if it
   * returns null, the result has the status OTP_REQUIRED: call again with `otp_code`. Throws Refused
   * for a definite refusal, Undecided at the deadline (60 s).
   */
  confirm(payment: PaymentRequest, options: CallOptions & { code: CodeSource<string> }): Promise<Confirmed>;
  confirm(payment: PaymentRequest, options?: ConfirmOptions): Promise<Confirmed | CodeRequired>;
  async confirm(payment: PaymentRequest, options: ConfirmOptions = {}): Promise<Confirmed | CodeRequired> {
    const order = orderOf(payment);
    const patience = this.#patience(options, 60_000);
    const key = await this.#attempts.keyOf(order.transaction_id, await digestOf(order));
    const codes = { otp_code: payment.otp_code, source: options.code };
    try {
      const result = await this.#withCodes(order, key, codes, patience);
      if (result.status === "SUCCESS") await this.#attempts.forget(order.transaction_id, key);
      return result;
    } catch (error) {
      const isDefinite = error instanceof errors.Declined || error instanceof errors.KeyReused;
      if (isDefinite) await this.#attempts.forget(order.transaction_id, key);
      throw error;
    }
  }

  /** Read a payment. */
  async payment(transaction_id: string, options: CallOptions = {}): Promise<Payment> {
    return paymentOf(await this.#read(transaction_id, this.#patience(options, 30_000)));
  }

  /** Follow a payment until it is settled, returned or declined. Throws StillPending (120 s). */
  async waitUntilSettled(transaction_id: string, options: WaitOptions = {}): Promise<Payment> {
    const isFinal = (state: Answer) => {
      const payment = paymentOf(state);
      options.onState?.(payment);
      return payment.final;
    };
    return paymentOf(await this.#until(isFinal, transaction_id, this.#patience(options, 120_000)));
  }

  #patience(options: CallOptions, usualMs: number): Patience {
    return new Patience(this.#clock, options.deadlineMs ?? usualMs, options.signal);
  }

  /** Send a request, and again with each code that the application returns. */
  async #withCodes(order: Order, key: string, codes: Codes, patience: Patience): Promise<Result> {
    let { otp_code, source } = codes;
    let required: CodeRequired | undefined;
    let ends = 0;
    for (;;) {
      try {
        const result = await this.#decided(order, key, otp_code, patience);
        if (!source || result.status === "SUCCESS") return result;
        required = result;
        ends = patience.now() + result.expires_in * 1000;
      } catch (error) {
        if (!(error instanceof errors.InvalidCode) || !source || !required) throw error;
        required = afterWrongCode(required, ends - patience.now());
        otp_code = undefined; // a request without a code asks for a new one
        if (!required) continue;
      }
      const [asked, question] = [source, required];
      otp_code = (await patience.without(() => asked(question))) ?? undefined;
      if (otp_code === undefined) return required;
    }
  }

  /** Send one request, and follow the payment while it is pending. */
  async #decided(order: Order, key: string, otp_code: string | undefined, patience: Patience): Promise<Result> {
    const headers = { "Idempotency-Key": key };
    const call: Call = { method: "POST", path: "/payment/confirm", headers, body: { ...order, ...(otp_code === undefined ? {} : { otp_code }) } };
    for (;;) {
      let answer: Answer;
      try {
        answer = await this.#send(call, patience);
      } catch (error) {
        if (!(error instanceof errors.TransactionConflict)) throw error;
        return this.#known(order, error, patience);
      }
      if (answer.status === 202) {
        await patience.pause(new errors.StillPending(answer), 1_000);
        answer = await this.#until(hasLeftPending, order.transaction_id, patience, answer);
        // The state does not show how long the code lasts, nor if one failed.
        if (answer.text("status") === "OTP_REQUIRED") continue;
      }
      if (answer.text("status") === "OTP_REQUIRED") return codeRequiredOf(order.transaction_id, answer);
      return outcomeOf(answer);
    }
  }

  /**
   * Return the outcome of a payment that exists under another key, if it is the same one: so a
   * repeated call after a definite outcome, or after the loss of the key, ends well.
   */
  async #known(order: Order, conflict: errors.TransactionConflict, patience: Patience): Promise<Confirmed> {
    const digest = await digestOf(order);
    const isSame = async (state: Answer) => (await digestOf(orderOf(paymentOf(state)))) === digest;
    const isKnown = async (state: Answer) => hasLeftPending(state) || !(await isSame(state));
    const answer = await this.#until(isKnown, order.transaction_id, patience, conflict.answer);
    const isDecided = ["SUCCESS", "DECLINED"].includes(answer.text("status"));
    if (!isDecided || !(await isSame(answer))) throw conflict;
    return outcomeOf(answer);
  }

  #read(transaction_id: string, patience: Patience): Promise<Answer> {
    return this.#send({ method: "GET", path: pathOf(transaction_id), headers: {} }, patience);
  }

  /**
   * Follow a payment until it is as wanted. One that a response has just `accepted` may be unknown
   * for a moment.
   */
  async #until(
    done: (state: Answer) => boolean | Promise<boolean>,
    transaction_id: string,
    patience: Patience,
    accepted?: Answer,
  ): Promise<Answer> {
    const position: Position = { lastEventId: "", retryMs: 0 };
    let last = accepted ?? NO_ANSWER;
    for (let tries = 0; ; tries++) {
      try {
        for await (const state of this.#states(transaction_id, patience, position)) {
          last = state;
          if (await done(state)) return state;
        }
      } catch (error) {
        if (!accepted || !(error instanceof errors.UnknownPayment)) throw error;
      }
      const pauseMs = Math.max(position.retryMs, pauseOf(tries, 500, LONGEST_PAUSE_BETWEEN_READS_MS));
      await patience.pause(new errors.StillPending(last), pauseMs);
    }
  }

  /** Yield the states of a payment as the gateway streams them, or the present one by a read. */
  async *#states(transaction_id: string, patience: Patience, position: Position): AsyncGenerator<Answer> {
    const stream = this.#hasStreams ? await this.#stream(transaction_id, patience, position.lastEventId) : null;
    if (!stream || !("events" in stream)) {
      yield await this.#read(transaction_id, patience);
      return;
    }
    for await (const event of stream.events) {
      position.lastEventId = event.id || position.lastEventId;
      position.retryMs = event.retryMs || position.retryMs;
      const state = Answer.of(200, stream.headers, event.data);
      if (event.name === "status" && decides(state)) yield state;
    }
  }

  async #stream(transaction_id: string, patience: Patience, lastEventId: string) {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (lastEventId) headers["Last-Event-ID"] = lastEventId;
    const call: Call = { method: "GET", path: `${pathOf(transaction_id)}/events`, headers };
    const request = await this.#requestOf(call, await patience.unlessAborted(this.#currentToken()), patience);
    const stream = await this.#transport.stream(request, patience.leftMs, patience.signal);
    // A gateway of an older version: do not ask again.
    if (stream instanceof Answer && errors.errorOf(stream) instanceof errors.NotFound) this.#hasStreams = false;
    return stream;
  }

  /** Send a request until its response decides. Throws Refused, and Undecided at the end. */
  async #send(call: Call, patience: Patience, isDecided = decides): Promise<Answer> {
    let renewed = false;
    let reread = false;
    for (let tries = 0; ; tries++) {
      const token = await patience.unlessAborted(this.#currentToken());
      const request = await this.#requestOf(call, token, patience);
      const answer = await this.#transport.send(request, patience.ofATryMs, patience.signal);
      if (answer instanceof Answer && isDecided(answer)) return answer;
      const error = answer instanceof Answer ? errors.errorOf(answer) : answer;
      if (error instanceof errors.Unauthorized && typeof this.#token === "function" && !renewed) {
        renewed = true;
        await this.#withdraw(token);
        continue;
      }
      if (error instanceof errors.EncryptionRefused && this.#encryption && !reread) {
        reread = true;
        this.#encryption.forget();
        continue;
      }
      if (!(error instanceof errors.Undecided)) throw error;
      await patience.pause(error, pauseOf(tries, 250, LONGEST_PAUSE_MS));
    }
  }

  async #requestOf(call: Call, token: string | undefined, patience: Patience): Promise<Request> {
    const { path, method, headers, body } = call;
    const bearer = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const request = { method, url: this.#base + path, headers: { ...headers, ...bearer } };
    if (!body) return request;
    const written = await this.#written(body, token, patience);
    return { ...request, headers: { ...request.headers, "Content-Type": written.type }, body: written.text };
  }

  /** A body as it is sent: encrypted anew for each try, which all have one idempotency key. */
  async #written(body: { transaction_id: string }, token: string | undefined, patience: Patience) {
    const encryption = this.#encryption;
    if (!encryption) return { type: "application/json", text: JSON.stringify(body) };
    if (!encryption.hasKey(patience.now())) {
      const call: Call = { method: "GET", path: KEYS_PATH, headers: {} };
      encryption.keep(await this.#send(call, patience, (answer) => answer.status === 200), patience.now());
    }
    return { type: "application/jose", text: await encryption.encrypt(body, token) };
  }

  /** The token; calls at once wait for one answer of its provider. */
  async #currentToken(): Promise<string | undefined> {
    if (typeof this.#token !== "function") return this.#token;
    this.#held ??= Promise.resolve(this.#token());
    try {
      return await this.#held;
    } catch (error) {
      this.#held = undefined;
      throw error;
    }
  }

  /** Forget a refused token, unless another call has renewed it. */
  async #withdraw(token: string | undefined): Promise<void> {
    const held = this.#held;
    if ((await held) === token && this.#held === held) this.#held = undefined;
  }
}

const pathOf = (transaction_id: string) => `/payment/${encodeURIComponent(transaction_id)}`;

/** Pauses double up to the longest. */
const pauseOf = (tries: number, firstMs: number, longestMs: number) => Math.min(longestMs, firstMs * 2 ** tries);

const hasLeftPending = (state: Answer) => state.text("status") !== "PENDING";

/** What the user is asked next; undefined where only a new code helps. */
function afterWrongCode(required: CodeRequired, leftMs: number): CodeRequired | undefined {
  const wrong_codes = required.wrong_codes + 1;
  if (leftMs <= 0 || wrong_codes >= CODES_A_CHALLENGE) return undefined;
  return { ...required, wrong_codes, expires_in: Math.ceil(leftMs / 1000) };
}

/** Whether a response is a result, and no error. */
function decides(answer: Answer): boolean {
  const state = answer.text("status");
  if (answer.status === 200) return ["PENDING", "OTP_REQUIRED", "SUCCESS", "DECLINED"].includes(state);
  return (answer.status === 202 && state === "PENDING") || (answer.status === 403 && state === "OTP_REQUIRED");
}

/** Return the result of a payment with a definite state; throw Declined. */
function outcomeOf(answer: Answer): Confirmed {
  if (answer.text("status") === "DECLINED") throw new errors.Declined(answer);
  return confirmedOf(answer);
}
