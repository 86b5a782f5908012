/** Encrypted confirmations, decrypted by another implementation. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EncryptionRefused, EncryptionRequired, MemoryAttempts, UnexpectedAnswer } from "../dist/index.js";
import { PAYMENT } from "./contract-cases.js";
import { ScriptedGateway, SUBJECT } from "./scripted-gateway.js";

const CONFIRMED = { body: { status: "SUCCESS", transaction_id: "tx-1", reference: "7", settlement_method: "" } };
const REFUSED = { status: 400, body: { error: "Encrypted request refused", details: "…" } };

async function started(context, answers, kinds, options = {}) {
  const gateway = await ScriptedGateway.start(context, answers);
  const kids = await gateway.publish(...kinds);
  const encryption = { subject: SUBJECT };
  return { gateway, kids, client: gateway.client({ attempts: new MemoryAttempts(), encryption, ...options }) };
}

function tokenOf(subject) {
  return `e30.${Buffer.from(JSON.stringify({ sub: subject })).toString("base64url")}.c2ln`;
}

test("a request is for the token's subject, and names its transaction outside", async (context) => {
  const options = { encryption: true, token: tokenOf("usr-é") };
  const { gateway, kids, client } = await started(context, [CONFIRMED], ["EC"], options);
  await client.confirm({ ...PAYMENT, otp_code: "123456" });

  const [{ header, content }] = gateway.opened;
  assert.deepEqual([header.alg, header.enc, header.kid], ["ECDH-ES+A256KW", "A256GCM", kids[0]]);
  assert.deepEqual(Object.keys(header).sort(), ["alg", "enc", "epk", "exp", "iat", "kid", "transaction_id"]);
  assert.deepEqual(Object.keys(header.epk).sort(), ["crv", "kty", "x", "y"]);
  assert.equal(header.transaction_id, "tx-1");
  assert.equal(content.sub, "usr-é");
  assert.deepEqual(content.body, { ...PAYMENT, otp_code: "123456" });
  assert.deepEqual([content.iat, content.exp], [header.iat, header.exp]);
  assert.equal(content.exp - content.iat, 300);
  assert.ok(!gateway.requests[0].body.includes("acc-1"));
});

test("the first EC key is used, and RSA where there is none", async (context) => {
  for (const [kinds, chosen] of [[["RSA", "EC"], 1], [["EC", "EC"], 0], [["RSA"], 0]]) {
    const { gateway, kids, client } = await started(context, [CONFIRMED], kinds);
    await client.confirm(PAYMENT);
    assert.equal(gateway.opened[0].header.kid, kids[chosen]);
  }
});

test("a key is read once in five minutes", async (context) => {
  const { gateway, client } = await started(context, [CONFIRMED, CONFIRMED, CONFIRMED], ["EC"]);
  await client.confirm(PAYMENT);
  await client.confirm(PAYMENT);
  assert.equal(gateway.keysRead, 1);
  await gateway.sleep(300_000);
  await client.confirm(PAYMENT);
  assert.equal(gateway.keysRead, 2);
});

test("after a refusal the keys are read again, once", async (context) => {
  const { gateway, client } = await started(context, [REFUSED, CONFIRMED, REFUSED, REFUSED], ["EC"]);
  await client.confirm(PAYMENT);
  assert.equal(gateway.keysRead, 2);
  assert.equal(new Set(gateway.keys).size, 1);
  await assert.rejects(client.confirm(PAYMENT), EncryptionRefused);
});

test("without a key that can be used nothing is sent", async (context) => {
  const { gateway, client } = await started(context, [], []);
  await assert.rejects(client.confirm(PAYMENT), UnexpectedAnswer);
  assert.equal(gateway.requests.length, 0);
});

test("a gateway that demands encryption is a clear error", async (context) => {
  const answers = [{ status: 415, body: { error: "Encryption required" } }];
  const { client } = await started(context, answers, ["EC"], { encryption: false });
  await assert.rejects(client.confirm(PAYMENT), EncryptionRequired);
});

test("a token without a subject is refused before anything is sent", async (context) => {
  for (const token of [undefined, "", "opaque", "a.b.c", "a.e30.c"]) {
    const { gateway, client } = await started(context, [], ["EC"], { encryption: true, token });
    await assert.rejects(client.confirm(PAYMENT), TypeError);
    assert.equal(gateway.requests.length, 0);
  }
});
