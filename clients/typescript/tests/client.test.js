/** Tokens, deadlines, signals, streams and the wire. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

import { Client, ConnectionFailed, StillPending, Unauthorized, UnexpectedAnswer } from "../dist/index.js";
import { PAYMENT } from "./contract-cases.js";
import { ScriptedGateway } from "./scripted-gateway.js";

const openapi = JSON.parse(readFileSync(new URL("../../../docs/openapi.json", import.meta.url), "utf8"));
const SUCCESS = { status: "SUCCESS", transaction_id: "tx-1", reference: "7K2M9QX4TD", settlement_method: "ACH" };
const OK = { body: SUCCESS };
const OTP = { status: 403, body: { status: "OTP_REQUIRED", message: "", expires_in: 300 } };
const EXPIRED = { status: 401, body: { error: "Unauthorized", details: "expired" } };
const start = ScriptedGateway.start;
const bearers = (gateway) => gateway.requests.map((one) => one.headers.authorization);

test("a provider of tokens is asked once and again after 401", async (context) => {
  const tokens = ["one", "two"];
  const gateway = await start(context, [OK, EXPIRED, OK]);
  const client = gateway.client({ token: async () => tokens.shift() });
  await client.confirm(PAYMENT);
  await client.confirm(PAYMENT);
  assert.deepEqual(bearers(gateway), ["Bearer one", "Bearer one", "Bearer two"]);
  assert.equal(gateway.keys[1], gateway.keys[2]);
});

test("calls at once ask the provider of tokens once", async (context) => {
  let asked = 0;
  const gateway = await start(context, [OK, OK]);
  const client = gateway.client({ token: async () => `token-${++asked}` });
  await Promise.all([client.confirm(PAYMENT), client.confirm({ ...PAYMENT, transaction_id: "tx-2" })]);
  assert.equal(asked, 1);
});

test("a provider that fails is asked again by the next call", async (context) => {
  const gateway = await start(context, [OK]);
  const answers = [() => Promise.reject(new Error("offline")), () => "one"];
  const client = gateway.client({ token: () => answers.shift()() });
  await assert.rejects(client.confirm(PAYMENT), /offline/);
  await client.confirm(PAYMENT);
  assert.deepEqual(bearers(gateway), ["Bearer one"]);
});

test("a refused token is sent once without a provider, and a new one once with it", async (context) => {
  const fixed = await start(context, [EXPIRED]);
  await assert.rejects(fixed.client({ token: "one" }).confirm(PAYMENT), Unauthorized);
  const provided = await start(context, [EXPIRED, EXPIRED]);
  await assert.rejects(provided.client({ token: () => "one" }).confirm(PAYMENT), Unauthorized);
});

test("a token is never forwarded to another address", async (context) => {
  const elsewhere = await start(context, [OK]);
  const gateway = await start(context, [{ status: 307, headers: { Location: `${elsewhere.url}/payment/confirm` } }]);
  await assert.rejects(gateway.client({ token: "one" }).confirm(PAYMENT), UnexpectedAnswer);
  assert.deepEqual(elsewhere.sent, []);
});

test("the time that the user takes is no part of the deadline", async (context) => {
  const gateway = await start(context, [OTP, { failure: "connection" }, OK]);
  const code = () => {
    gateway.nowMs += 200_000;
    return "789012";
  };
  await gateway.client().confirm(PAYMENT, { code, deadlineMs: 5_000 });
  assert.equal(gateway.sent.length, 3);
});

test("one deadline is for all tries", async (context) => {
  const gateway = await start(context, Array(100).fill({ failure: "connection" }));
  await assert.rejects(gateway.client().confirm(PAYMENT), ConnectionFailed);
  assert.ok(gateway.waitedMs > 50_000 && gateway.waitedMs < 60_000);
  assert.ok(gateway.sent.length <= 20);
});

for (const amount of [50.5, true, undefined]) {
  test(`the amount ${amount} is refused before anything is sent`, async (context) => {
    const gateway = await start(context, []);
    await assert.rejects(gateway.client().confirm({ ...PAYMENT, amount }), /amount must be a string/);
    assert.deepEqual(gateway.sent, []);
  });
}

test("an address that is not of HTTP is refused", () => {
  assert.throws(() => new Client("gopher://gateway"), TypeError);
  assert.throws(() => new Client("gateway"), TypeError);
});

test("a response that takes too long is bounded by the deadline", async (context) => {
  const url = await listening(context, (_request, response) => {
    response.writeHead(200).write("{");
    const timer = setInterval(() => response.write(" "), 50);
    response.once("close", () => clearInterval(timer));
  });
  const began = performance.now();
  await assert.rejects(new Client(url).confirm(PAYMENT, { deadlineMs: 300 }), ConnectionFailed);
  assert.ok(performance.now() - began < 1_000);
});

test("a signal ends a call at once, in a request and in a pause", async (context) => {
  const silent = await listening(context, () => undefined);
  const refused = await listening(context, (request) => request.socket.destroy());
  for (const url of [silent, refused]) {
    const signal = AbortSignal.timeout(150);
    const began = performance.now();
    await assert.rejects(new Client(url).confirm(PAYMENT, { signal }), (error) => error === signal.reason);
    assert.ok(performance.now() - began < 1_000);
  }
  await assert.rejects(new Client(silent).confirm(PAYMENT, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a signal ends a call while the user is asked, or a token is fetched", async (context) => {
  const never = () => new Promise(() => undefined);
  const gateway = await start(context, [OTP]);
  for (const [options, more] of [[{}, { code: never }], [{ token: never }, {}]]) {
    const signal = AbortSignal.timeout(100);
    const call = gateway.client(options).confirm(PAYMENT, { signal, ...more });
    await assert.rejects(call, (error) => error === signal.reason);
  }
});

test("a confirmation has the fields of the description", async (context) => {
  const gateway = await start(context, [OK]);
  const given = { ...PAYMENT, to_name: "Ada", otp_code: "123456", instrument: "CASH", branch: "b-1" };
  await gateway.client().confirm(given);
  const { schema } = openapi.paths["/payment/confirm"].post.requestBody.content["application/json"];
  const sent = JSON.parse(gateway.requests[0].body);
  assert.deepEqual(sent, given);
  assert.deepEqual(new Set([...Object.keys(sent), "idempotency_key"]), new Set(Object.keys(schema.properties)));
});

const payment = (settlement_status, status = "SUCCESS") => ({
  ...PAYMENT,
  status,
  settlement_status,
  reference: "7K2M9QX4TD",
  settlement_method: "ACH",
  reason: null,
});
const event = (id, body) => `id: ${id}\nevent: status\ndata: ${JSON.stringify(body)}\n\n`;
const EVENTS = "GET /payment/tx-1/events";
const READ = "GET /payment/tx-1";

test("a stream is followed until the payment is settled", async (context) => {
  const [pending, sent, settlement] = ["PENDING", "SENT", "SETTLED"].map((one, id) => event(id, payment(one)));
  const events = `${pending}: heartbeat\n\n${sent}${settlement}`;
  const gateway = await start(context, [], [{ events, hangs: true }]);
  const seen = [];
  const onState = (state) => seen.push([state.settlement_status, state.final]);
  const settled = await gateway.client({ token: "one" }).waitUntilSettled("tx-1", { onState });
  assert.equal(settled.settled, true);
  assert.deepEqual(seen, [["PENDING", false], ["SENT", false], ["SETTLED", true]]);
  assert.deepEqual(gateway.sent, [EVENTS]);
  assert.equal(gateway.requests[0].headers.authorization, "Bearer one");
});

test("a stream that ends or breaks goes on after its last event", async (context) => {
  const streams = [
    { events: `${event(7, payment("PENDING"))}retry: 1000\n\n` },
    { events: event(8, payment("SENT")).slice(0, -9), breaks: true },
    { events: event(9, payment("SETTLED")).replaceAll("\n", "\r\n") },
  ];
  const gateway = await start(context, [], streams);
  await gateway.client().waitUntilSettled("tx-1");
  const lastIds = gateway.requests.map((one) => one.headers["last-event-id"]);
  assert.deepEqual(lastIds, [undefined, "7", "7"]);
  assert.ok(gateway.waitedMs >= 2 * 500);
});

test("where a stream is refused for now, the payment is read, and the stream asked for again", async (context) => {
  const many = { status: 429, headers: { "Retry-After": "5" }, body: { error: "Too many streams" } };
  const streams = [many, { events: event(1, payment("SETTLED")) }];
  const gateway = await start(context, [{ body: payment("PENDING") }], streams);
  await gateway.client().waitUntilSettled("tx-1");
  assert.deepEqual(gateway.sent, [EVENTS, READ, EVENTS]);
});

test("a gateway without streams is asked for one once", async (context) => {
  const none = { status: 404, body: { error: "Not found" } };
  const reads = [{ body: payment("PENDING") }, { body: payment("SETTLED") }];
  const gateway = await start(context, reads, [none]);
  await gateway.client().waitUntilSettled("tx-1");
  assert.deepEqual(gateway.sent, [EVENTS, READ, READ]);
});

test("an expired token is renewed by a read, and the stream has the new one", async (context) => {
  const tokens = ["one", "two"];
  const streams = [EXPIRED, { events: event(1, payment("SETTLED")) }];
  const gateway = await start(context, [EXPIRED, { body: payment("PENDING") }], streams);
  await gateway.client({ token: () => tokens.shift() }).waitUntilSettled("tx-1");
  assert.deepEqual(gateway.sent, [EVENTS, READ, READ, EVENTS]);
  assert.deepEqual(bearers(gateway), ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]);
});

test("a stream is bounded by the deadline, and by a signal", async (context) => {
  const url = await listening(context, (_request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write(event(1, payment("PENDING")));
  });
  const late = new Client(url).waitUntilSettled("tx-1", { deadlineMs: 200 });
  await assert.rejects(late, (error) => error instanceof StillPending && error.payment_status === "SUCCESS");
  const signal = AbortSignal.timeout(100);
  await assert.rejects(new Client(url).waitUntilSettled("tx-1", { signal }), (error) => error === signal.reason);
});

test("a deadline may be no deadline", async (context) => {
  const streams = [{ events: event(1, payment("SETTLED")), hangs: true }];
  const gateway = await start(context, [OK], streams);
  await gateway.client().confirm(PAYMENT, { deadlineMs: Infinity });
  await gateway.client().waitUntilSettled("tx-1", { deadlineMs: Infinity });
  assert.deepEqual(gateway.sent, ["POST /payment/confirm", EVENTS]);
});

test("after a 202 the stream is followed until the payment is decided", async (context) => {
  const accepted = { status: 202, body: { status: "PENDING", transaction_id: "tx-1" } };
  const events = event(1, payment("NONE", "PENDING")) + event(2, payment("PENDING"));
  const gateway = await start(context, [accepted], [{ events, hangs: true }]);
  const confirmed = await gateway.client().confirm(PAYMENT);
  assert.equal(confirmed.reference, "7K2M9QX4TD");
  assert.deepEqual(gateway.sent, ["POST /payment/confirm", EVENTS]);
});

async function listening(context, handler) {
  const server = createServer(handler);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
