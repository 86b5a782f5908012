/** The one place where the client library is set up. */

import { Client } from "@countersign/client";

import { watchedFetch } from "./connection.js";
import type { Session } from "./session.js";

export function clientOf(session: Session): Client {
  // Confirmations are encrypted for confirm alone.
  return new Client(location.origin, { token: () => session.token(), fetch: watchedFetch, encryption: true });
}
