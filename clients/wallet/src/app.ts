/** What every view may use: who is signed in, the payments, and where to go. */

import type { Client } from "@countersign/client";

import { Run } from "./run.js";
import { clientOf } from "./sdk.js";
import { PAYEES, type Session } from "./session.js";
import { type PaymentRecord, Payments } from "./store.js";

/** A payment that is being written; it is made only when the customer confirms it. */
export type Draft = Pick<PaymentRecord, "transaction_id" | "amount" | "currency" | "from_account" | "to_account">;

const DRAFT = "countersign.wallet.draft";

export class App {
  readonly client: Client;
  readonly payments: Payments;
  readonly #runs = new Map<string, Run>();

  constructor(readonly session: Session) {
    this.client = clientOf(session);
    this.payments = new Payments(session.customer.user);
  }

  /** The one run of a payment, which goes on while other views are shown. */
  runOf(record: PaymentRecord): Run {
    const known = this.#runs.get(record.transaction_id);
    if (known) return known;
    const run = new Run(record, this.client, this.payments);
    this.#runs.set(record.transaction_id, run);
    return run;
  }

  /** Make a payment of the draft: the same one for each tap. */
  confirm(draft: Draft): PaymentRecord {
    const made = this.payments.find(draft.transaction_id);
    if (made) return made;
    const payee = nameOf(draft.to_account);
    const record = { ...draft, payee, made_at: new Date().toISOString(), state: "sent" } as const;
    this.draft = null;
    return this.payments.save(record);
  }

  get draft(): Draft | null {
    return JSON.parse(sessionStorage.getItem(DRAFT) ?? "null") as Draft | null;
  }

  set draft(draft: Draft | null) {
    if (draft) sessionStorage.setItem(DRAFT, JSON.stringify(draft));
    else sessionStorage.removeItem(DRAFT);
  }

  /** Write a payment anew, to correct it. */
  rewrite({ amount, currency, from_account, to_account }: PaymentRecord): void {
    this.draft = { transaction_id: newTransaction(), amount, currency, from_account, to_account };
  }

  /** The accounts from which payments were made here, the last one first. */
  get usedAccounts(): string[] {
    const accepted = this.payments.all().filter((one) => one.state !== "refused");
    return [...new Set(accepted.map((one) => one.from_account))];
  }

  end(): void {
    for (const run of this.#runs.values()) run.end();
    this.draft = null;
    this.session.end();
  }
}

export const newTransaction = () => `pay-${crypto.randomUUID()}`;

export const nameOf = (payee: string) => PAYEES.find((one) => one.account === payee)?.name ?? payee;

/** Show another view. `replace`: the present one is left out of the browser's history. */
export function go(path: string, replace = false): void {
  const address = `#${path}`;
  if (replace) location.replace(address);
  else location.hash = address;
}
