/**
 * Pay from the command line: node pay.js URL FROM TO AMOUNT TRANSACTION
 *
 * The access token is in COUNTERSIGN_TOKEN; a gateway of the development profile needs none. The
 * keys of unfinished payments are in the folder attempts: after a crash, run the same command again.
 */

import { createInterface } from "node:readline/promises";

import { Client, CountersignError, Declined, Undecided } from "@countersign/client";
import { FileAttempts } from "@countersign/client/node";

const terminal = createInterface(process.stdin);
const lines = terminal[Symbol.asyncIterator]();

async function ask(required) {
  if (required.wrong_codes) console.log("This code is wrong.");
  process.stdout.write(`Code, within ${required.expires_in} s (empty to stop): `);
  const { value } = await lines.next();
  return value?.trim() || null;
}

async function pay(client, [from_account, to_account, amount, transaction_id]) {
  const order = { transaction_id, amount, from_account, to_account };
  const result = await client.confirm(order, { code: ask });
  if (result.status === "OTP_REQUIRED") {
    console.log("Not confirmed: no code.");
    return 3;
  }
  console.log("Confirmed, reference", result.reference);
  const payment = await client.waitUntilSettled(transaction_id);
  console.log(payment.settled ? "Settled." : "Returned: the payee's bank refused it.");
  return 0;
}

async function main([url, ...order]) {
  const token = process.env.COUNTERSIGN_TOKEN;
  const client = new Client(url, { ...(token && { token }), attempts: new FileAttempts("attempts") });
  try {
    return await pay(client, order);
  } catch (error) {
    if (error instanceof Declined) console.log("Declined:", error.reason);
    else if (error instanceof Undecided) console.log("Not known yet, run the same command again:", error.message);
    else if (error instanceof CountersignError) console.log("Refused:", error.message);
    else throw error;
    return 1;
  }
}

if (process.argv.length !== 7) {
  console.error("usage: node pay.js URL FROM TO AMOUNT TRANSACTION");
  process.exit(2);
}
process.exitCode = await main(process.argv.slice(2));
terminal.close();
