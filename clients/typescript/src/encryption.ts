/**
 * Encryption of confirmations: between here and Countersign's confirm service nobody reads them.
 *
 * A compact JWE (RFC 7516) by WebCrypto, which has all that the two algorithms need. A page has
 * WebCrypto over https, and on localhost.
 */

import type { Answer } from "./answers.js";
import { UnexpectedAnswer } from "./errors.js";

export const KEYS_PATH = "/.well-known/e2e-jwks.json";
/** How long a key is used without being read again; a replaced one works for a day. */
const KEPT_MS = 300_000;
/** The longest that is accepted. */
const LIFE_S = 300;
/** By type of key, the one to prefer first. */
const ALGORITHMS = { EC: "ECDH-ES+A256KW", RSA: "RSA-OAEP-256" } as const;
const P256 = { name: "ECDH", namedCurve: "P-256" } as const;
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" } as const;

interface PublishedKey extends JsonWebKey {
  kty: keyof typeof ALGORITHMS;
  kid: string;
}

/** The key in use, and what is encrypted under it. */
export class Encryption {
  readonly #subject: string | undefined;
  #key: PublishedKey | undefined;
  #until = 0;

  /** `subject`: whose requests these are, where no token says so. */
  constructor(subject?: string) {
    this.#subject = subject;
  }

  /** Whether a key was read lately; `now` is of a clock that never goes back. */
  hasKey(now: number): boolean {
    return this.#key !== undefined && now < this.#until;
  }

  /** Choose a key of a JWK set; throw UnexpectedAnswer without one that can be used. */
  keep(answer: Answer, now: number): void {
    const { keys: listed } = answer.body;
    const keys = Array.isArray(listed) ? (listed as (PublishedKey | null)[]) : [];
    const usable = (kind: keyof typeof ALGORITHMS) => keys.find((key) => key?.kty === kind && key.alg === ALGORITHMS[kind]);
    this.#key = usable("EC") ?? usable("RSA") ?? undefined;
    this.#until = now + KEPT_MS;
    if (!this.#key) throw new UnexpectedAnswer(answer, "the gateway publishes no key of a known type");
  }

  /** Read the keys again before the next request. */
  forget(): void {
    this.#key = undefined;
  }

  /** Return a body, encrypted for the token's subject; throw TypeError without one. */
  async encrypt(body: { transaction_id: string }, token: string | undefined): Promise<string> {
    const key = this.#key!;
    const iat = Math.floor(Date.now() / 1000);
    const times = { iat, exp: iat + LIFE_S };
    const content = { sub: this.#subject ?? subjectOf(token), jti: crypto.randomUUID(), ...times, body };
    const header = { alg: ALGORITHMS[key.kty], enc: "A256GCM", kid: key.kid, transaction_id: body.transaction_id, ...times };
    const cek = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]);
    const wrapped = key.kty === "EC" ? await wrapByAgreement(key, cek) : await wrapByOaep(key, cek);
    const aad = base64url(utf8(JSON.stringify({ ...header, ...wrapped.header })));
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const algorithm = { name: "AES-GCM", iv, additionalData: utf8(aad) };
    const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, cek, utf8(JSON.stringify(content))));
    const [text, tag] = [sealed.subarray(0, -16), sealed.subarray(-16)];
    return [aad, ...[wrapped.key, iv, text, tag].map(base64url)].join(".");
  }
}

/** ECDH-ES+A256KW (RFC 7518, 4.6): agree upon a key by one key pair of ours, and wrap with it. */
async function wrapByAgreement(key: PublishedKey, cek: CryptoKey) {
  const { kty, crv, x, y } = key;
  const published = await crypto.subtle.importKey("jwk", { kty, crv, x, y } as JsonWebKey, P256, false, []);
  const ours = await crypto.subtle.generateKey(P256, true, ["deriveBits"]);
  const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: published }, ours.privateKey, 256);
  const wrapping = await crypto.subtle.importKey("raw", await concatKdf(shared), "AES-KW", false, ["wrapKey"]);
  const epk = await crypto.subtle.exportKey("jwk", ours.publicKey);
  return {
    header: { epk: { kty: epk.kty, crv: epk.crv, x: epk.x, y: epk.y } },
    key: new Uint8Array(await crypto.subtle.wrapKey("raw", cek, wrapping, "AES-KW")),
  };
}

async function wrapByOaep(key: PublishedKey, cek: CryptoKey) {
  const { kty, n, e } = key;
  const published = await crypto.subtle.importKey("jwk", { kty, n, e } as JsonWebKey, OAEP, false, ["wrapKey"]);
  return { header: {}, key: new Uint8Array(await crypto.subtle.wrapKey("raw", cek, published, OAEP)) };
}

/** The one round of the Concat KDF (NIST SP 800-56A) that 256 bits need. */
async function concatKdf(shared: ArrayBuffer): Promise<ArrayBuffer> {
  const algorithm = utf8(ALGORITHMS.EC);
  const parts = [number(1), new Uint8Array(shared), number(algorithm.length), algorithm, number(0), number(0), number(256)];
  return crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
}

function number(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Whose token it is: its `sub`, which the gateway verifies and this does not. */
export function subjectOf(token: string | undefined): string {
  try {
    const payload = (token ?? "").split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown };
    if (typeof sub === "string") return sub;
  } catch {
    // No token of this form.
  }
  throw new TypeError("the token names no subject: encryption: { subject } instead of true");
}
