/** The table of contract cases, for the tests with a scripted and with the real gateway. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const table = JSON.parse(readFileSync(new URL("../../contract-cases.json", import.meta.url), "utf8"));
export const CASES = table.cases;
export const PAYMENT = table.payment;

/** Make the call of a case, and return its result or error. */
export async function outcomeOf(client, one, changes = {}) {
  const { deadline_s, ...payment } = { ...PAYMENT, ...changes, ...one.with };
  const options = deadline_s === undefined ? {} : { deadlineMs: deadline_s * 1000 };
  const codes = one.codes?.values();
  if (codes) options.code = () => codes.next().value;
  const calls = {
    confirm: () => client.confirm(payment, options),
    payment: () => client.payment(payment.transaction_id, options),
    wait_until_settled: () => client.waitUntilSettled(payment.transaction_id, options),
  };
  return calls[one.call ?? "confirm"]().catch((error) => error);
}

const RESULTS = { SUCCESS: "Confirmed", OTP_REQUIRED: "CodeRequired" };

function kindOf(outcome) {
  if (outcome instanceof Error) return outcome.name;
  return "settlement_status" in outcome ? "Payment" : RESULTS[outcome.status];
}

/** Compare a result or error with the case; `changes` stand for the table's values. */
export function assertOutcome(one, outcome, { but = [], changes = {} } = {}) {
  const [[kind, fields]] = Object.entries(one.outcome);
  assert.equal(kindOf(outcome), kind, String(outcome?.stack ?? outcome));
  for (const [name, value] of Object.entries(fields)) {
    // The table has "" for no value, as Python has.
    const found = value === "" ? (outcome[name] ?? "") : outcome[name];
    if (!but.includes(name)) assert.equal(found, name in changes ? changes[name] : value, name);
  }
}
