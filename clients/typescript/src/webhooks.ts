/** Verification of webhooks, as standardwebhooks.com specifies: HMAC-SHA256, or Ed25519. */

export type Reason =
  | "missing_header"
  | "invalid_header"
  | "too_old"
  | "too_new"
  | "no_match"
  | "invalid_payload";

/** A message that is not from Countersign, or not recent. Respond 400, and do nothing else. */
export class InvalidWebhook extends Error {
  override name = "InvalidWebhook";

  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
  }
}

/** A verified message. The same `id` may come more than once: act on it once. */
export interface Webhook {
  id: string;
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
}

/** Of fetch, or of Node's requests. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | string[] | undefined>>;

/** How far a timestamp may be from our clock, in both directions: a recorded message ages. */
const TOLERANCE_S = 300;
/** Bytes, of the specification. An unset variable must not become a secret. */
const SHORTEST_SECRET = 24;

/**
 * Return the message of a request; throw InvalidWebhook.
 *
 * `payload` is the body as it came: JSON that was read and written again has other bytes. `secret`
 * is `whsec_…`, or `whpk_…` (Ed25519), or several of them, of which one must match. Throws TypeError
 * for a secret of another form.
 */
export async function verify(
  payload: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options: { nowS?: number } = {},
): Promise<Webhook> {
  const keys = await Promise.all([secret].flat().map(keyOf));
  const [id, timestamp, signatures] = [
    header(headers, "webhook-id"),
    header(headers, "webhook-timestamp"),
    header(headers, "webhook-signature"),
  ];
  checkTime(timestamp, options.nowS ?? Date.now() / 1000);
  const content = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), content);
  for (const { version, signature } of signatures.split(" ").map(decoded)) {
    for (const key of keys) {
      if (key.version !== version) continue; // a key is for one algorithm alone
      const { algorithm, cryptoKey } = key;
      if (await crypto.subtle.verify(algorithm, cryptoKey, signature, signed)) return webhook(id, content);
    }
  }
  throw new InvalidWebhook("no_match", "no signature of webhook-signature matches");
}

async function keyOf(secret: string) {
  const [, prefix, encoded = ""] = /^(whsec|whpk)_(.*)$/s.exec(secret) ?? [];
  const key = bytesOf(encoded);
  if (prefix === "whsec" && key.length >= SHORTEST_SECRET) {
    return { version: "v1", algorithm: "HMAC", cryptoKey: await imported(key, { name: "HMAC", hash: "SHA-256" }) };
  }
  if (prefix === "whpk" && key.length === 32) {
    return { version: "v1a", algorithm: "Ed25519", cryptoKey: await imported(key, { name: "Ed25519" }) };
  }
  throw new TypeError("a secret is whsec_ or whpk_ and a key in Base64");
}

function imported(key: BufferSource, algorithm: { name: string; hash?: string }): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, algorithm, false, ["verify"]);
}

function header(headers: WebhookHeaders, name: string): string {
  const value =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([one]) => one.toLowerCase() === name)?.[1];
  if (typeof value !== "string" || !value) throw new InvalidWebhook("missing_header", `the header ${name} is missing`);
  return value;
}

function checkTime(timestamp: string, nowS: number): void {
  const isNumber = /^\d{1,12}$/.test(timestamp);
  if (!isNumber) throw new InvalidWebhook("invalid_header", "webhook-timestamp is no number of seconds");
  const ageS = Math.round(nowS - Number(timestamp));
  if (ageS > TOLERANCE_S) throw new InvalidWebhook("too_old", `webhook-timestamp is ${ageS} s old`);
  if (ageS < -TOLERANCE_S) throw new InvalidWebhook("too_new", `webhook-timestamp is ${-ageS} s ahead`);
}

function decoded(text: string) {
  const [version = "", encoded = ""] = text.split(",");
  return { version, signature: bytesOf(encoded) };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}

function webhook(id: string, content: Uint8Array): Webhook {
  try {
    const { type, timestamp, data } = JSON.parse(new TextDecoder().decode(content)) as Record<string, unknown>;
    const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
    if (typeof type === "string" && typeof timestamp === "string" && isObject) {
      return { id, type, timestamp, data: { ...data } };
    }
  } catch {
    // The same error as for JSON of another form.
  }
  throw new InvalidWebhook("invalid_payload", "the body has no type, timestamp, data");
}
