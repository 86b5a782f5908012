/** Build the page into dist: one script and one style sheet, whose names change with their content. */

import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

import { build } from "esbuild";

const from = (path) => new URL(path, import.meta.url);
const dist = from("dist/");

rmSync(dist, { recursive: true, force: true }); // a gateway that runs has the former files in memory
const { metafile } = await build({
  absWorkingDir: from(".").pathname,
  entryPoints: ["src/main.ts", "src/style.css"],
  entryNames: "[name]-[hash]",
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
const outputs = Object.keys(metafile.outputs);
const named = (suffix) => basename(outputs.find((one) => one.endsWith(suffix)));
const page = readFileSync(from("src/index.html"), "utf8")
  .replace("{{script}}", named(".js"))
  .replace("{{style}}", named(".css"));

copyFileSync(from("src/icon.svg"), new URL("icon.svg", dist));
writeFileSync(new URL("index.html", dist), page);
