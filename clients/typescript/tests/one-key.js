/** A process that asks a folder for the key of one attempt. */

import { FileAttempts } from "../dist/node.js";

process.send(await new FileAttempts(process.argv[2]).keyOf("tx-1", "same"), () => process.disconnect());
