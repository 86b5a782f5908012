/** What every view may use: who is signed in, the payments, and where to go. */

import type { Client } from "@countersign/client";

import { Run } from "./run.js";
import { clientOf } from "./sdk.js";
import { PAYEES, type Session } from "./session.js";
import { type PaymentRecord, Payments } from "./store.js";

/** A payment that is being written; it is made only when the customer confirms it. */
export type Draft = Pick<PaymentRecord, "transaction_id" | "amount" | "currency" | "from_account" | "to_account">;

const DRAFT = "countersign.wallet.draft";
const ACCOUNTS = "countersign.wallet.accounts";

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

  /** The customer's accounts: those of the demonstration, and those that were typed here. */
  get accounts(): string[] {
    const { user, accounts } = this.session.customer;
    const typed = JSON.parse(localStorage.getItem(`${ACCOUNTS}.${user}`) ?? "[]") as string[];
    return [...new Set([...accounts, ...typed])];
  }

  addAccount(account: string): void {
    const all = [...new Set([...this.accounts, account])];
    localStorage.setItem(`${ACCOUNTS}.${this.session.customer.user}`, JSON.stringify(all));
  }

  end(): void {
    for (const run of this.#runs.values()) run.end();
    this.draft = null;
    this.session.end();
  }
}

export const nameOf = (payee: string) => PAYEES.find((one) => one.account === payee)?.name ?? payee;

/** Show another view. `replace`: the present one is left out of the browser's history. */
export function go(path: string, replace = false): void {
  const address = `#${path}`;
  if (replace) location.replace(address);
  else location.hash = address;
}
