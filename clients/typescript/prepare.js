/** Build the package when npm installs its folder, also where its tools are not installed yet. */

import { execSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const options = { cwd: fileURLToPath(new URL(".", import.meta.url)), stdio: "inherit" };
if (!existsSync(new URL("node_modules/typescript", import.meta.url))) {
  execSync("npm ci --ignore-scripts", options);
}
execSync("npm run --silent build", options);
