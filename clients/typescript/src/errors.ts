/**
 * All errors: `Refused` is definite, `Undecided` asks for the same call again. Each has `status`,
 * `request_id`, `retry_after_s`, `details` and `body` of its response, if one came.
 *
 * Each class sets `name` itself: a minifier changes the names of classes.
 */

import { type Answer, type Body, NO_ANSWER } from "./answers.js";
import type { DeclineReason, Status } from "./results.js";

export class CountersignError extends Error {
  readonly answer: Answer;
  /** The HTTP status; null if no response came. */
  readonly status: number | null;
  readonly request_id: string | null;
  readonly retry_after_s: number | null;
  readonly details: string;
  readonly body: Body;

  constructor(answer: Answer = NO_ANSWER, message = "", cause?: unknown) {
    const about = answer.status ? ` (${answer.status}, request ${answer.request_id})` : "";
    super((message || messageOf(answer)) + about, cause === undefined ? undefined : { cause });
    this.answer = answer;
    this.status = answer.status || null;
    this.request_id = answer.request_id;
    this.retry_after_s = answer.retry_after_s;
    this.details = answer.text("details");
    this.body = answer.body;
  }
}

/** A definite refusal: the same call would be refused again. */
export class Refused extends CountersignError {
  override name = "Refused";
}

/** The payment is declined, finally, for a `reason`. */
export class Declined extends Refused {
  override name = "Declined";
  readonly reason = this.answer.text("reason") as DeclineReason;
}

/** A `field` is missing, invalid or unknown. The same transaction may be sent corrected. */
export class InvalidRequest extends Refused {
  override name = "InvalidRequest";
  readonly field: string = subjectOf(this.answer);
}

/** The code is wrong, expired or used up. Call again with another one. */
export class InvalidCode extends Refused {
  override name = "InvalidCode";
}

/** The user has typed too many wrong codes; operators unlock. */
export class CodesLocked extends Refused {
  override name = "CodesLocked";
}

/** A code is needed, and the user has no contact that may receive it. */
export class CodeUndeliverable extends Refused {
  override name = "CodeUndeliverable";
}

/** The token is missing or invalid; a provider of tokens was asked again. */
export class Unauthorized extends Refused {
  override name = "Unauthorized";
}

/** The token does not have the scope. */
export class Forbidden extends Refused {
  override name = "Forbidden";
}

/** The `account` is unknown, or another user's. */
export class UnknownAccount extends Refused {
  override name = "UnknownAccount";
  readonly account: string = subjectOf(this.answer);
}

/** The user has no payment `transaction_id`, or its request was not read yet. */
export class UnknownPayment extends Refused {
  override name = "UnknownPayment";
  readonly transaction_id: string = subjectOf(this.answer);
}

/** There is no such address: the base URL is wrong. */
export class NotFound extends Refused {
  override name = "NotFound";
}

/** The idempotency key belongs to another request; the next call makes a new one. */
export class KeyReused extends Refused {
  override name = "KeyReused";
}

/** The transaction belongs to an attempt with other parameters, or whose key is lost. */
export class TransactionConflict extends Refused {
  override name = "TransactionConflict";
  readonly payment_status = this.answer.text("status") as Status;
}

/** The request is too large (413, 431), or its media type was changed on the way (415). */
export class RequestRejected extends Refused {
  override name = "RequestRejected";
}

/** A response that the contract does not have, such as a proxy's page or a redirect. */
export class UnexpectedAnswer extends Refused {
  override name = "UnexpectedAnswer";
}

/** The gateway accepts encrypted requests alone: `encryption: true`. */
export class EncryptionRequired extends Refused {
  override name = "EncryptionRequired";
}

/**
 * The encrypted request was not accepted, also under keys that were just read. The clock may be
 * wrong by minutes, or the request is for another user.
 */
export class EncryptionRefused extends Refused {
  override name = "EncryptionRefused";
}

/** The deadline passed without a definite outcome: call again with the same parameters. */
export class Undecided extends CountersignError {
  override name = "Undecided";
}

/** No response came; `cause` is the error of fetch. */
export class ConnectionFailed extends Undecided {
  override name = "ConnectionFailed";
}

/** An equal request still runs. */
export class InProgress extends Undecided {
  override name = "InProgress";
}

/** Too many requests of this user, or too many codes. */
export class RateLimited extends Undecided {
  override name = "RateLimited";
}

/** The gateway, or a server on the way, failed. */
export class Unavailable extends Undecided {
  override name = "Unavailable";
}

/** The payment is not final yet; `payment_status` is its last known state, "" for none. */
export class StillPending extends Undecided {
  override name = "StillPending";
  readonly payment_status = this.answer.text("status") as Status | "";
}

type Kind = new (answer: Answer) => CountersignError;

const BY_WORDS: Readonly<Record<string, Kind>> = {
  "400 Encrypted request refused": EncryptionRefused,
  "401 Invalid OTP": InvalidCode,
  "401 Unauthorized": Unauthorized,
  "403 DECLINED": Declined,
  "403 OTP_UNDELIVERABLE": CodeUndeliverable,
  "403 Codes locked": CodesLocked,
  "403 Forbidden": Forbidden,
  "404 Unknown account": UnknownAccount,
  "404 Unknown payment": UnknownPayment,
  "404 Not found": NotFound,
  "409 Request in progress": InProgress,
  "415 Encryption required": EncryptionRequired,
  "422 Idempotency key reused": KeyReused,
};
const BY_STATUS: Readonly<Record<number, Kind>> = {
  400: InvalidRequest,
  408: Unavailable,
  409: TransactionConflict,
  413: RequestRejected,
  415: RequestRejected,
  429: RateLimited,
  431: RequestRejected,
};

/** Return the error of a response. */
export function errorOf(answer: Answer): CountersignError {
  const words = answer.text("status") || answer.text("error").split(": ")[0];
  const other = answer.status >= 500 ? Unavailable : UnexpectedAnswer;
  return new (BY_WORDS[`${answer.status} ${words}`] ?? BY_STATUS[answer.status] ?? other)(answer);
}

/** What stands after the colon of `error`. */
function subjectOf(answer: Answer): string {
  return /: (.*)$/s.exec(answer.text("error"))?.[1] ?? "";
}

function messageOf(answer: Answer): string {
  const words = ["error", "details", "status", "message", "reason"].map((name) => answer.text(name));
  return words.filter(Boolean).join(": ") || "a response that the contract does not have";
}
