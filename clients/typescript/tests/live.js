/**
 * Run the cases with `live` against a real gateway: node live.js URL plain|encrypted, and on standard
 * input a JSON list of {account, user_id, token}, a customer for each case. The transaction has the account's name.
 */

import { text } from "node:stream/consumers";

import { Client, CountersignError } from "../dist/index.js";
import { assertOutcome, CASES, outcomeOf } from "./contract-cases.js";

const [url, form] = process.argv.slice(2);
const customers = JSON.parse(await text(process.stdin));
const live = CASES.filter((one) => "live" in one);

async function check(one, customer) {
  const changes = { transaction_id: customer.account, from_account: customer.account };
  const token = one.live.token ?? customer.token;
  if (one.live.before) {
    const amount = one.live.before === "another amount" ? { amount: "51.00" } : {};
    await outcomeOf(new Client(url, { token }), { with: { ...one.with, ...amount } }, changes);
  }
  // A token that nobody issued names no subject.
  const encryption = form === "encrypted" && { subject: customer.user_id };
  const outcome = await outcomeOf(new Client(url, { token, encryption }), one, changes);
  assertOutcome(one, outcome, { but: ["reference"], changes: { transaction_id: customer.account } });
  if (outcome instanceof CountersignError && !outcome.request_id) throw new Error("no request_id");
}

const results = await Promise.allSettled(live.map((one, number) => check(one, customers[number])));
for (const [number, result] of results.entries()) {
  if (result.status === "rejected") console.error(live[number].name, result.reason);
}
const passed = results.filter((result) => result.status === "fulfilled").length;
console.log(`${passed} of ${live.length} cases hold`);
process.exit(passed === live.length ? 0 : 1);
