/** The payments that were made on this device, newest first, for each user. */

export type State = "sent" | "code" | "confirmed" | "settled" | "returned" | "declined" | "refused";

/** A payment, from the moment at which the customer confirms it. */
export interface PaymentRecord {
  /** Chosen once; repeated in every call about this payment. */
  transaction_id: string;
  amount: string;
  currency: string;
  from_account: string;
  to_account: string;
  payee: string;
  made_at: string;
  state: State;
  reference?: string;
  /** Of a payment that was declined. */
  reason?: string;
}

/** States in which nothing more happens. */
const ENDS: readonly State[] = ["settled", "returned", "declined", "refused"];
const MOST = 50;

export const isFinal = (payment: PaymentRecord) => ENDS.includes(payment.state);

export class Payments extends EventTarget {
  readonly #name: string;

  constructor(user: string) {
    super();
    this.#name = `countersign.wallet.payments.${user}`;
  }

  all(): PaymentRecord[] {
    return JSON.parse(localStorage.getItem(this.#name) ?? "[]") as PaymentRecord[];
  }

  find(transaction_id: string): PaymentRecord | undefined {
    return this.all().find((one) => one.transaction_id === transaction_id);
  }

  /** Add a payment, or replace what changed of it; dispatches `change`. */
  save(payment: PaymentRecord): PaymentRecord {
    const others = this.all().filter((one) => one.transaction_id !== payment.transaction_id);
    const all = [payment, ...others].sort((a, b) => b.made_at.localeCompare(a.made_at));
    localStorage.setItem(this.#name, JSON.stringify(all.slice(0, MOST)));
    this.dispatchEvent(new Event("change"));
    return payment;
  }
}
