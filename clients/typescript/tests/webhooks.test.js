/** Webhooks are verified as the table says. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { InvalidWebhook, verify } from "../dist/webhooks.js";

const table = JSON.parse(readFileSync(new URL("../../webhook-cases.json", import.meta.url), "utf8"));

async function outcomeOf({ payload, headers, secret }) {
  try {
    const { id, ...message } = await verify(payload, headers, secret, { nowS: table.now_s });
    assert.deepEqual(message, JSON.parse(payload));
    assert.equal(id, new Headers(headers).get("webhook-id"));
    return "verified";
  } catch (error) {
    if (error instanceof InvalidWebhook) return error.reason;
    if (error instanceof TypeError) return "invalid_secret";
    throw error;
  }
}

for (const one of table.cases) {
  test(`webhook: ${one.name}`, async () => {
    assert.equal(await outcomeOf(one), one.outcome);
    assert.equal(await outcomeOf({ ...one, headers: new Headers(one.headers) }), one.outcome);
  });
}

test("webhook: the body may be bytes", async () => {
  const [{ payload, headers, secret }] = table.cases;
  const bytes = new TextEncoder().encode(payload);
  assert.equal((await verify(bytes, headers, secret, { nowS: table.now_s })).type, "payment.settled");
});
