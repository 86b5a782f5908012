/** One key for one attempt: over tries, calls at once, reloads and restarts. */

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Declined, MemoryAttempts, StorageAttempts, Undecided } from "../dist/index.js";
import { FileAttempts } from "../dist/node.js";
import { PAYMENT } from "./contract-cases.js";
import { ScriptedGateway } from "./scripted-gateway.js";

const LOST = { failure: "connection" };
const folder = () => mkdtempSync(join(tmpdir(), "attempts-"));

/** What StorageAttempts uses of a browser's storage. */
class PageStorage extends Map {
  getItem = (name) => this.get(name) ?? null;
  setItem = (name, value) => this.set(name, value);
  removeItem = (name) => this.delete(name);
}

const STORES = {
  memory: () => new MemoryAttempts(),
  storage: () => new StorageAttempts(new PageStorage()),
  file: () => new FileAttempts(folder()),
};

/** The key of each call: none has a response. */
async function keysOf(context, attempts, ...changes) {
  const keys = [];
  for (const change of changes) {
    const gateway = await ScriptedGateway.start(context, Array(9).fill(LOST));
    const { code, deadlineMs = 100, ...payment } = { ...PAYMENT, ...change };
    const call = gateway.client({ attempts }).confirm(payment, { code, deadlineMs });
    await assert.rejects(call, Undecided);
    assert.equal(new Set(gateway.keys).size, 1);
    keys.push(gateway.keys[0]);
  }
  return keys;
}

for (const [kind, store] of Object.entries(STORES)) {
  test(`${kind}: a key is random`, async (context) => {
    const [one] = await keysOf(context, store(), {});
    const [two] = await keysOf(context, store(), {});
    assert.notEqual(one, two);
    assert.match(one, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test(`${kind}: the same attempt has the same key whatever else changes`, async (context) => {
    const same = [{}, { amount: "50" }, { amount: 50 }, { amount: 50n }, { amount: "050.0" }];
    const others = [{ otp_code: "123456" }, { deadlineMs: 200 }, { code: () => null }];
    assert.equal(new Set(await keysOf(context, store(), ...same, ...others)).size, 1);
  });

  test(`${kind}: other parameters are another attempt`, async (context) => {
    const others = [
      { amount: "50.01" },
      { amount: "500" },
      { currency: "EUR" },
      { from_account: "acc-2" },
      { to_account: "payee-xyz" },
      { transaction_id: "tx-2" },
    ];
    assert.equal(new Set(await keysOf(context, store(), {}, ...others)).size, 7);
  });

  test(`${kind}: a key is forgotten only by its own attempt`, async () => {
    const attempts = store();
    const old = await attempts.keyOf("tx-1", "old");
    const key = await attempts.keyOf("tx-1", "new");
    await attempts.forget("tx-1", old);
    assert.equal(await attempts.keyOf("tx-1", "new"), key);
    await attempts.forget("tx-1", key);
    await attempts.forget("tx-1", key);
    assert.notEqual(await attempts.keyOf("tx-1", "new"), key);
  });

  test(`${kind}: calls at once have one key`, async () => {
    const attempts = store();
    const keys = await Promise.all(Array.from({ length: 40 }, () => attempts.keyOf("tx-1", "same")));
    assert.equal(new Set(keys).size, 1);
  });
}

test("two taps are one attempt, and one payment", async (context) => {
  const busy = { status: 409, headers: { "Retry-After": "1" }, body: { error: "Request in progress" } };
  const done = {
    body: { status: "SUCCESS", transaction_id: "tx-1", reference: "7K2M9QX4TD", settlement_method: "ACH" },
  };
  const gateway = await ScriptedGateway.start(context, [busy, done, done]);
  const client = gateway.client();
  const results = await Promise.all([client.confirm(PAYMENT), client.confirm(PAYMENT)]);
  assert.deepEqual(results.map((one) => one.reference), ["7K2M9QX4TD", "7K2M9QX4TD"]);
  assert.equal(gateway.keys.length, 3);
  assert.equal(new Set(gateway.keys).size, 1);
});

test("the key is stored before it is sent, and is there after a reload", async (context) => {
  const storage = new PageStorage();
  const asked = { status: 403, body: { status: "OTP_REQUIRED", expires_in: 300 } };
  const gateway = await ScriptedGateway.start(context, [asked]);
  const client = gateway.client({ attempts: new StorageAttempts(storage) });
  const closed = () => {
    throw new Error("the page is closed");
  };
  await assert.rejects(client.confirm(PAYMENT, { code: closed }), /closed/);
  assert.deepEqual(await keysOf(context, new StorageAttempts(storage), {}), gateway.keys);
});

test("processes at once have one key in a folder", async () => {
  const place = folder();
  const child = () =>
    new Promise((resolve) => fork(new URL("one-key.js", import.meta.url), [place]).once("message", resolve));
  assert.equal(new Set(await Promise.all([child(), child(), child()])).size, 1);
});

test("files are private and have no parameters", async (context) => {
  const place = folder();
  await keysOf(context, new FileAttempts(place), {}, { amount: "51.00" });
  const [file, ...others] = readdirSync(place);
  assert.deepEqual(others, []);
  assert.equal(statSync(join(place, file)).mode & 0o077, 0);
  assert.doesNotMatch(readFileSync(join(place, file), "utf8"), /acc-1|payee-known|tx-1/);
});

test("a finished attempt leaves no file", async (context) => {
  const place = folder();
  const body = { status: "DECLINED", transaction_id: "tx-1", reason: "timed_out" };
  const gateway = await ScriptedGateway.start(context, [{ status: 403, body }]);
  await assert.rejects(gateway.client({ attempts: new FileAttempts(place) }).confirm(PAYMENT), Declined);
  assert.deepEqual(readdirSync(place), []);
});

test("a damaged file is an error and no new key", async (context) => {
  const place = folder();
  await keysOf(context, new FileAttempts(place), {});
  const [file] = readdirSync(place);
  writeFileSync(join(place, file), "[");
  const gateway = await ScriptedGateway.start(context, []);
  const call = gateway.client({ attempts: new FileAttempts(place) }).confirm(PAYMENT);
  await assert.rejects(call, (error) => error.message.includes(file));
  assert.deepEqual(gateway.sent, []);
});

test("memory is bounded by forgetting the oldest", () => {
  const attempts = new MemoryAttempts(2);
  const [one, two] = ["1", "2", "3"].map((transaction) => attempts.keyOf(transaction, ""));
  assert.equal(attempts.keyOf("2", ""), two);
  assert.notEqual(attempts.keyOf("1", ""), one);
});
