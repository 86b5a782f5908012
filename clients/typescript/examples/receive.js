/**
 * Receive webhooks: WEBHOOK_SECRET=whsec_… node receive.js PORT
 *
 * A message may come more than once: act on each id once. Messages of a payment may overtake one
 * another: its state is the one with the highest status_sequence.
 */

import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import { InvalidWebhook, verify } from "@countersign/client/webhooks";

const secret = process.env.WEBHOOK_SECRET;
// A real receiver keeps both in its database, in one transaction with what it does.
const seen = new Set();
const newest = new Map();

async function receive(request) {
  const { id, type, data } = await verify(await text(request), request.headers, secret);
  if (seen.has(id)) return;
  seen.add(id);
  if (data.status_sequence <= (newest.get(data.payment_id) ?? -1)) return;
  newest.set(data.payment_id, data.status_sequence);
  console.log(type, data.transaction_id, data.status, data.settlement_status);
}

createServer(async (request, response) => {
  try {
    await receive(request);
    response.writeHead(204).end();
  } catch (error) {
    if (!(error instanceof InvalidWebhook)) throw error;
    response.writeHead(400).end(error.reason);
  }
}).listen(Number(process.argv[2] ?? 8080), "127.0.0.1");
