/** What only Node has: keys in files, over restarts. */

import { createHash, randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { link, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { type Attempts, keptIn } from "./attempts.js";

/**
 * Keeps keys in a folder, a file of mode 0600 for each transaction. Files have neither accounts nor
 * amounts. Processes may share the folder, on a file system with hard links.
 */
export class FileAttempts implements Attempts {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  async keyOf(transaction_id: string, parameters: string): Promise<string> {
    const path = this.#path(transaction_id);
    for (;;) {
      const kept = await read(path);
      if (kept?.[0] === parameters) return kept[1];
      if (kept) await rm(path, { force: true });
      await this.#claim(path, JSON.stringify([parameters, randomUUID()]));
    }
  }

  async forget(transaction_id: string, key: string): Promise<void> {
    const path = this.#path(transaction_id);
    if ((await read(path))?.[1] === key) await rm(path, { force: true });
  }

  /** Give a file its name when it is whole. A link never overwrites: the first wins. */
  async #claim(path: string, text: string): Promise<void> {
    const written = `${path}.${randomUUID()}`;
    try {
      await write(written, text);
      await link(written, path);
      await sync(this.#folder);
    } catch (error) {
      if (!isError(error, "EEXIST")) throw error;
    } finally {
      await rm(written, { force: true });
    }
  }

  #path(transaction_id: string): string {
    // Not every file system takes every id, and some ignore case.
    return join(this.#folder, `${createHash("sha256").update(transaction_id).digest("hex")}.json`);
  }
}

async function read(path: string) {
  try {
    return keptIn(await readFile(path, "utf8"), path);
  } catch (error) {
    if (isError(error, "ENOENT")) return null;
    throw error;
  }
}

async function write(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Make the name durable; Windows opens no folders, and needs no sync of them. */
async function sync(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isError(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
