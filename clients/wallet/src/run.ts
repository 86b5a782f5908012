/**
 * One payment while the page shows it: confirmed by the client library, then followed until it is
 * settled, returned or declined. The same transaction after a tap, a lost connection or a reload.
 */

import { type Client, type CodeRequired, Declined, Undecided, type Payment } from "@countersign/client";

import { declined, explain, type Explained } from "./explain.js";
import { isFinal, type PaymentRecord, type Payments } from "./store.js";

/** What the run does now. */
export type Step =
  | { name: "sending" }
  | { name: "code"; required: CodeRequired; ends_at: number }
  | { name: "checking" }
  | { name: "following" }
  | { name: "waiting"; problem: Explained }
  | { name: "stopped"; problem: Explained }
  | { name: "done" };

/** Milliseconds. After this the customer sees that the connection is the trouble. */
const DEADLINE_MS = 12_000;
const FOLLOW_MS = 300_000;
const PAUSE_MS = 4_000;

export class Run extends EventTarget {
  record: PaymentRecord;
  step: Step = { name: "sending" };
  readonly #client: Client;
  readonly #payments: Payments;
  readonly #ended = new AbortController();
  #isRunning = false;
  #enter: ((code: string | null) => void) | undefined;
  #goOn: (() => void) | undefined;

  constructor(record: PaymentRecord, client: Client, payments: Payments) {
    super();
    this.record = record;
    this.#client = client;
    this.#payments = payments;
    this.step = isFinal(record) ? { name: "done" } : { name: "sending" };
  }

  /** Confirm and follow the payment. A second call while it runs does nothing. */
  async start(): Promise<void> {
    if (this.#isRunning || isFinal(this.record)) return;
    this.#isRunning = true;
    try {
      await this.#untilFinal();
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#stopped(error);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Send the code that the customer has typed. */
  enterCode(code: string): void {
    this.#answer(code, { name: "checking" });
  }

  /** Ask for another code, once the last one has expired. */
  requestCode(): void {
    this.#answer(null, { name: "sending" });
  }

  /** Try again now. */
  retry(): void {
    this.#goOn?.();
    void this.start();
  }

  /** Stop without an outcome: somebody signs out. The payment may exist, and can be continued. */
  end(): void {
    this.#ended.abort();
  }

  #answer(code: string | null, step: Step): void {
    if (this.step.name !== "code") return;
    this.#show(step);
    this.#enter?.(code);
  }

  async #untilFinal(): Promise<void> {
    while (!isFinal(this.record)) {
      try {
        if (this.record.state === "confirmed") await this.#follow();
        else await this.#confirm();
      } catch (error) {
        if (!(error instanceof Undecided)) throw error;
        this.#show({ name: "waiting", problem: explain(error) });
        await this.#pause((error.retry_after_s ?? 0) * 1000);
        this.#show({ name: "sending" });
      }
    }
    this.#show({ name: "done" });
  }

  async #confirm(): Promise<void> {
    const { transaction_id, amount, currency, from_account, to_account } = this.record;
    const order = { transaction_id, amount, currency, from_account, to_account };
    const signal = this.#ended.signal;
    const code = (required: CodeRequired) => this.#code(required);
    const result = await this.#client.confirm(order, { code, signal, deadlineMs: DEADLINE_MS });
    // Without a code the next call asks for a new one.
    if (result.status === "SUCCESS") this.#save({ state: "confirmed", reference: result.reference });
  }

  #code(required: CodeRequired): Promise<string | null> {
    this.#save({ state: "code" });
    this.#show({ name: "code", required, ends_at: Date.now() + required.expires_in * 1000 });
    return new Promise((resolve) => (this.#enter = resolve));
  }

  async #follow(): Promise<void> {
    this.#show({ name: "following" });
    const onState = (payment: Payment) => this.#seen(payment);
    const signal = this.#ended.signal;
    await this.#client.waitUntilSettled(this.record.transaction_id, { onState, signal, deadlineMs: FOLLOW_MS });
  }

  #seen(payment: Payment): void {
    const change = changeOf(payment);
    if (change.state !== this.record.state) this.#save(change);
  }

  #stopped(error: unknown): void {
    if (error instanceof Declined) {
      this.#save({ state: "declined", reason: error.reason });
      this.#show({ name: "done" });
      return;
    }
    const problem = explain(error);
    if (problem.remedy === "edit") this.#save({ state: "refused" });
    this.#show({ name: "stopped", problem });
  }

  /** Wait some seconds, until the network is back, or until the customer wants to go on. */
  #pause(leastMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, Math.max(PAUSE_MS, leastMs));
      this.#goOn = () => {
        clearTimeout(timer);
        resolve();
      };
      window.addEventListener("online", this.#goOn, { once: true });
      this.#ended.signal.addEventListener("abort", () => reject(this.#ended.signal.reason), { once: true });
    });
  }

  #save(change: Partial<PaymentRecord>): void {
    this.record = this.#payments.save({ ...this.record, ...change });
    this.dispatchEvent(new Event("change"));
  }

  #show(step: Step): void {
    this.step = step;
    this.dispatchEvent(new Event("change"));
  }
}

/** What a read of a payment says of it. */
export function changeOf(payment: Payment): Pick<PaymentRecord, "state"> & Partial<PaymentRecord> {
  if (payment.status === "DECLINED") return { state: "declined", reason: payment.reason ?? "" };
  if (payment.status !== "SUCCESS") return { state: payment.status === "OTP_REQUIRED" ? "code" : "sent" };
  const reference = payment.reference ?? "";
  if (payment.settled) return { state: "settled", reference };
  return { state: payment.final ? "returned" : "confirmed", reference };
}

/** What to say of a payment that was declined. */
export const reasonOf = (record: PaymentRecord) => declined(record.reason ?? "");
