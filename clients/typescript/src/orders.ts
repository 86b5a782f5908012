/** What distinguishes one attempt to pay from another. */

import type { Amount, PaymentRequest } from "./results.js";

export interface Order {
  transaction_id: string;
  amount: string;
  currency: string;
  from_account: string;
  to_account: string;
  /** The payee's name. The first request's counts, so it does not distinguish attempts; nor do the next two. */
  to_name?: string;
  instrument?: PaymentRequest["instrument"];
  branch?: string;
}

const OPTIONAL = ["to_name", "instrument", "branch"] as const;

/** The parameters of a payment as they are sent. */
export function orderOf(payment: PaymentRequest): Order {
  const { transaction_id, amount, currency = "USD", from_account, to_account } = payment;
  if (typeof transaction_id !== "string") throw new TypeError("transaction_id must be a string");
  const order = { transaction_id, amount: textOf(amount), currency, from_account, to_account };
  const given = OPTIONAL.filter((name) => payment[name] !== undefined);
  return { ...order, ...Object.fromEntries(given.map((name) => [name, payment[name]])) };
}

/** A digest of the parameters: equal for `5200` and `5200.00`. */
export async function digestOf(order: Order): Promise<string> {
  const parameters = [normal(order.amount), order.currency, order.from_account, order.to_account];
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(parameters)));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function textOf(amount: Amount): string {
  const isExact = typeof amount === "string" || typeof amount === "bigint" || Number.isSafeInteger(amount);
  if (!isExact) throw new TypeError("amount must be a string or a whole number: a fraction is a string");
  return String(amount);
}

function normal(amount: string): string {
  const [, whole, fraction] = /^0*(\d+)(?:\.(\d*?)0*)?$/.exec(amount) ?? [];
  if (whole === undefined) return amount;
  return fraction ? `${whole}.${fraction}` : whole;
}
