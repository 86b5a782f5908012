/** The client treats every case of the contract as the table says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { CountersignError, MemoryAttempts } from "../dist/index.js";
import { digestOf, orderOf } from "../dist/orders.js";
import { assertOutcome, CASES, outcomeOf, PAYMENT } from "./contract-cases.js";
import { ScriptedGateway, SUBJECT } from "./scripted-gateway.js";

for (const one of [...CASES, ...CASES.map((plain) => ({ ...plain, encrypted: true }))]) {
  test(`contract: ${one.name}${one.encrypted ? ", encrypted" : ""}`, async (context) => {
    const gateway = await ScriptedGateway.start(context, one.answers);
    await gateway.publish("EC");
    const attempts = new MemoryAttempts();
    const encryption = one.encrypted && { subject: SUBJECT };
    const outcome = await outcomeOf(gateway.client({ attempts, encryption }), one);
    assert.equal(gateway.opened.length, encryption ? gateway.keys.length : 0);
    assert.equal(new Set(gateway.opened.map(({ content }) => content.jti)).size, gateway.opened.length);
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
