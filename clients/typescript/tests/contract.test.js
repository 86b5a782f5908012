/** The client treats every case of the contract as the table says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { CountersignError, MemoryAttempts } from "../dist/index.js";
import { digestOf, orderOf } from "../dist/orders.js";
import { assertOutcome, CASES, outcomeOf, PAYMENT } from "./contract-cases.js";
import { ScriptedGateway } from "./scripted-gateway.js";

for (const one of CASES) {
  test(`contract: ${one.name}`, async (context) => {
    const gateway = await ScriptedGateway.start(context, one.answers);
    const attempts = new MemoryAttempts();
    const outcome = await outcomeOf(gateway.client({ attempts }), one);
    assertOutcome(one, outcome);
    assert.deepEqual(gateway.sent, one.sent);
    assert.ok(gateway.waitedMs >= (one.waited_s ?? 0) * 1000);
    assert.equal(gateway.answers.length, 0);
    assert.ok(new Set(gateway.keys).size <= 1);
    if (outcome instanceof CountersignError && outcome.status) {
      assert.match(outcome.request_id, /^request-\d+$/);
      assert.ok(outcome.message.includes(outcome.request_id));
    }
    if (one.key) {
      const order = orderOf({ ...PAYMENT, ...one.with });
      const isKept = attempts.keyOf(order.transaction_id, await digestOf(order)) === gateway.keys[0];
      assert.equal(isKept, one.key === "kept");
    }
  });
}
