/** Errors of the client library in words for a customer: what happened, and what to do. */

import * as sdk from "@countersign/client";

import { SignInFailed } from "./session.js";

export type Remedy = "retry" | "edit" | "new" | "sign-in" | "none";

export interface Explained {
  title: string;
  text: string;
  remedy: Remedy;
  /** For support; null where no response came. */
  request_id: string | null;
}

type Words = readonly [title: string, text: string, remedy: Remedy];

const DECLINED: Readonly<Record<string, Words>> = {
  insufficient_funds: ["Not enough money", "Your account does not have this amount. Choose a smaller one.", "new"],
  not_permitted: [
    "This payment cannot be made",
    "Your bank may not make it, and may say no more. Choose another payee, or contact your bank.",
    "new",
  ],
  otp_exhausted: ["No code was entered", "Three codes were sent and none was entered. Start again.", "new"],
  timed_out: ["It took too long", "The payment was not decided in time. No money was taken. Start again.", "new"],
};

export function declined(reason: string): Explained {
  const [title, text, remedy] = DECLINED[reason] ?? ["Declined", "Your bank has declined this payment.", "new"];
  return { title, text, remedy, request_id: null };
}

/** Explain any error of a call. */
export function explain(error: unknown): Explained {
  const request_id = error instanceof sdk.CountersignError ? error.request_id : null;
  if (error instanceof sdk.Declined) return { ...declined(error.reason), request_id };
  const [title, text, remedy] = words(error);
  return { title, text, remedy, request_id };
}

function words(error: unknown): Words {
  if (error instanceof SignInFailed) return ["You are signed out", error.message, "sign-in"];
  if (error instanceof sdk.Unauthorized || error instanceof sdk.Forbidden) {
    return ["You are signed out", "Sign in again. Your payment goes on where it was.", "sign-in"];
  }
  if (error instanceof sdk.UnknownAccount) {
    const text = `${error.account} is no account of yours. Choose another account, and check its number.`;
    return ["Account not found", text, "edit"];
  }
  if (error instanceof sdk.InvalidRequest) {
    return ["Please correct the payment", `${FIELDS[error.field] ?? error.field}: ${error.details}`, "edit"];
  }
  if (error instanceof sdk.CodesLocked) {
    return ["Codes are locked", "Too many wrong codes were entered. Contact your bank to unlock them.", "none"];
  }
  if (error instanceof sdk.CodeUndeliverable) {
    const text = "This payment needs a code, and your bank has no phone number of yours. Contact your bank.";
    return ["No phone number for a code", text, "retry"];
  }
  if (error instanceof sdk.RateLimited) {
    const text = `Too many requests at once. We try again in ${error.retry_after_s ?? 60} seconds.`;
    return ["One moment", text, "retry"];
  }
  if (error instanceof sdk.ConnectionFailed) {
    return ["No connection", "Your payment is kept and will not be made twice. We go on by ourselves.", "retry"];
  }
  if (error instanceof sdk.Undecided) {
    return ["This takes longer than usual", "Your payment is kept and will not be made twice. We go on.", "retry"];
  }
  if (error instanceof sdk.TransactionConflict) {
    return ["This payment was started elsewhere", "Look it up where you have started it.", "none"];
  }
  return ["Something went wrong", "Try again. Your payment will not be made twice.", "retry"];
}

const FIELDS: Readonly<Record<string, string>> = {
  amount: "Amount",
  from_account: "Account",
  to_account: "Payee",
  otp_code: "Code",
};
