/** What the types promise; the compiler judges it, and nothing runs it. */

import { Client, Declined, type Confirmed, type Payment } from "../src/index.js";

const client = new Client("http://localhost:3000", { token: async () => "one" });
const order = { transaction_id: "tx-1", amount: 50n, from_account: "acc-1", to_account: "acc-2" };

// A source that always has a code ends with a confirmation.
export const confirmed: Promise<Confirmed> = client.confirm(order, { code: ({ expires_in }) => String(expires_in) });

export async function statusTellsTheResult(): Promise<string | number> {
  const result = await client.confirm(order, { code: () => null });
  return result.status === "SUCCESS" ? result.reference : result.expires_in;
}

export const settled: Promise<Payment["settlement_status"]> = client
  .waitUntilSettled("tx-1", { deadlineMs: 1_000 })
  .then((payment) => payment.settlement_status);

export function errorsHaveTheirFields(error: unknown): string {
  if (!(error instanceof Declined)) return "";
  // @ts-expect-error: no reason of the contract
  if (error.reason === "another") return "";
  return error.reason;
}

// @ts-expect-error: both accounts are needed
void client.confirm({ transaction_id: "tx-1", amount: "1", from_account: "acc-1" });
