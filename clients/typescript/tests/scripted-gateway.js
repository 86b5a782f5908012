/** A server that plays a list of answers, on a clock that only the client's pauses move. */

import { createServer } from "node:http";

import { calculateJwkThumbprint, compactDecrypt, exportJWK, generateKeyPair } from "jose";

import { Client } from "../dist/index.js";

export const SUBJECT = "usr-456";
const KEYS_PATH = "/.well-known/e2e-jwks.json";
const ALGORITHMS = { EC: "ECDH-ES+A256KW", RSA: "RSA-OAEP-256" };

export class ScriptedGateway {
  requests = [];
  /** Header and content of each encrypted request, decrypted by another implementation. */
  opened = [];
  keysRead = 0;
  #published = [];
  waitedMs = 0;
  nowMs = 1_000_000;

  /** `streams`: what GET …/events answers in turn; a gateway without streams if not given. */
  constructor(answers, streams = null) {
    this.answers = [...answers];
    this.streams = streams && [...streams];
  }

  static async start(test, answers, streams) {
    const gateway = new ScriptedGateway(answers, streams);
    const server = createServer((request, response) => gateway.#play(request, response));
    await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
    test.after(() => {
      server.closeAllConnections();
      server.close();
    });
    gateway.url = `http://127.0.0.1:${server.address().port}`;
    return gateway;
  }

  /** Publish new keys of these types instead of those before; return their ids. */
  async publish(...kinds) {
    this.#published = await Promise.all(kinds.map(newKey));
    return this.#published.map(({ jwk }) => jwk.kid);
  }

  async #open(body) {
    const find = ({ kid }) => this.#published.find(({ jwk }) => jwk.kid === kid).privateKey;
    const options = { keyManagementAlgorithms: Object.values(ALGORITHMS), contentEncryptionAlgorithms: ["A256GCM"] };
    const { plaintext, protectedHeader } = await compactDecrypt(body, find, options);
    this.opened.push({ header: protectedHeader, content: JSON.parse(new TextDecoder().decode(plaintext)) });
  }

  get sent() {
    return this.requests.map((one) => `${one.method} ${one.path}`);
  }

  get keys() {
    return this.requests.map((one) => one.headers["idempotency-key"]).filter(Boolean);
  }

  client(options = {}) {
    return new Client(this.url, { clock: this, ...options });
  }

  now() {
    return this.nowMs;
  }

  chance() {
    return 0;
  }

  async sleep(ms) {
    this.nowMs += ms;
    this.waitedMs += ms;
  }

  async #play(request, response) {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (request.url === KEYS_PATH) {
      this.keysRead += 1;
      return send(response, { body: { keys: this.#published.map(({ jwk }) => jwk) } });
    }
    if (request.headers["content-type"] === "application/jose") await this.#open(body);
    const isStream = request.url.endsWith("/events");
    const script = isStream ? this.streams : this.answers;
    if (!script) return send(response, { status: 404, body: { error: "Not found" } });
    this.requests.push({ method: request.method, path: request.url, headers: request.headers, body });
    const answer = script.shift();
    if (answer === undefined) return send(response, { status: 418, text: "the script has ended" });
    if (answer.failure) return request.socket.destroy();
    return send(response, answer, this.requests.length);
  }
}

async function newKey(kty) {
  const alg = ALGORITHMS[kty];
  const { publicKey, privateKey } = await generateKeyPair(alg, { crv: "P-256", extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), alg, use: "enc" };
  return { privateKey, jwk: { ...jwk, kid: await calculateJwkThumbprint(jwk) } };
}

function send(response, answer, number = 0) {
  const { status = 200, headers, body, events } = answer;
  const type = events ? "text/event-stream" : "application/json";
  response.writeHead(status, { "X-Request-Id": `request-${number}`, "Content-Type": type, ...headers });
  if (!events) return response.end(body === undefined ? (answer.text ?? "") : JSON.stringify(body));
  response.write(events);
  if (answer.breaks) return setTimeout(() => response.destroy(), 20);
  return answer.hangs ? undefined : response.end();
}
