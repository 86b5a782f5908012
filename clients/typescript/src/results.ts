/** What calls take and return. Names and types of fields are those of docs/openapi.json. */

import type { Answer } from "./answers.js";
import { UnexpectedAnswer } from "./errors.js";
import type { paths } from "./openapi.js";

type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : never;
type Confirm = paths["/payment/confirm"]["post"];
type Request = Json<Confirm["requestBody"]>;
type Read = Json<paths["/payment/{transaction_id}"]["get"]["responses"]["200"]>;

export type DeclineReason = Extract<Json<Confirm["responses"]["403"]>, { reason: unknown }>["reason"];
export type Status = Read["status"];

/** Major units. A fraction is a string: as a number it would be rounded. */
export type Amount = string | number | bigint;

/** The parameters of an attempt, and perhaps a code. `currency` is USD by default. */
export type PaymentRequest = Required<Pick<Request, "transaction_id" | "from_account" | "to_account">> &
  Pick<Request, "to_name" | "otp_code" | "instrument" | "branch"> & { amount: Amount; currency?: string };

/** The payment is confirmed; its settlement follows. */
export type Confirmed = Json<Confirm["responses"]["200"]> & { request_id: string | null };

/** The payment needs a one-time code: call `confirm` again, with `otp_code`. */
export interface CodeRequired {
  status: "OTP_REQUIRED";
  transaction_id: string;
  /** Seconds left. */
  expires_in: number;
  message: string;
  /** How many codes have been wrong since this one was sent. */
  wrong_codes: number;
  request_id: string | null;
}

/** A payment as `GET /payment/{id}` shows it. */
export type Payment = Required<Read> & {
  /** Whether the payee's bank has booked the payment. */
  settled: boolean;
  /** Whether nothing more happens: settled, returned or declined. */
  final: boolean;
};

export function confirmedOf(answer: Answer): Confirmed {
  return {
    status: "SUCCESS",
    transaction_id: answer.text("transaction_id"),
    reference: answer.text("reference"),
    settlement_method: answer.text("settlement_method"),
    request_id: answer.request_id,
  };
}

export function codeRequiredOf(transaction_id: string, answer: Answer): CodeRequired {
  return {
    status: "OTP_REQUIRED",
    transaction_id,
    expires_in: Number(answer.body["expires_in"]) || 0,
    message: answer.text("message"),
    wrong_codes: 0,
    request_id: answer.request_id,
  };
}

/** Read a response. Throws UnexpectedAnswer for one without an amount. */
export function paymentOf(answer: Answer): Payment {
  const read = answer.body as Required<Read>;
  if (typeof read.amount !== "string") throw new UnexpectedAnswer(answer);
  const settled = read.settlement_status === "SETTLED";
  const final = settled || read.settlement_status === "REJECTED" || read.status === "DECLINED";
  return { ...read, settled, final };
}
