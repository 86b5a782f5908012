/** Confirm payments at Countersign, in browsers and in Node. */

export { type Attempts, MemoryAttempts, StorageAttempts } from "./attempts.js";
export { Client } from "./client.js";
export type { CallOptions, ClientOptions, CodeSource, ConfirmOptions, Token, WaitOptions } from "./client.js";
export * from "./errors.js";
export type { Clock } from "./patience.js";
export type { Amount, CodeRequired, Confirmed, DeclineReason, Payment, PaymentRequest, Status } from "./results.js";
