/**
 * Write the reference of the package, as Markdown: every export, with its comments, without what is
 * inside. `node reference.js` prints it; `make generate` keeps it in docs/clients.
 */

import { readFileSync } from "node:fs";

import ts from "typescript";

const ENTRIES = { index: "@countersign/client", node: "@countersign/client/node", webhooks: "@countersign/client/webhooks" };
const read = new Map();

function sourceOf(name) {
  if (!read.has(name)) {
    const text = readFileSync(new URL(`src/${name}.ts`, import.meta.url), "utf8");
    read.set(name, ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  }
  return read.get(name);
}

const isExported = (node) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
const moduleOf = (node) => node.moduleSpecifier.text.replace(/^\.\/|\.js$/g, "");
// A comment at the begin of a file is about the file.
const commentsOf = (node) => ts.getJSDocCommentsAndTags(node).filter((one) => one.pos > 0);
const commentOf = (node) => commentsOf(node).map((one) => one.comment ?? "").join("\n\n");

/** Yield the declarations that a module exports, those of other modules where it names them. */
function* exportsOf(name) {
  for (const node of sourceOf(name).statements) {
    if (ts.isExportDeclaration(node)) {
      const all = [...exportsOf(moduleOf(node))];
      const names = node.exportClause?.elements.map((one) => one.name.text);
      yield* names ? names.map((one) => all.find((other) => other.name === one)) : all;
    } else if (isExported(node) && node.name) {
      yield { name: node.name.text, node };
    } else if (isExported(node) && ts.isVariableStatement(node)) {
      for (const one of node.declarationList.declarations) yield { name: one.name.text, node };
    }
  }
}

/** A declaration without what is inside its functions, and without its private members. */
function declared(node) {
  if (ts.isFunctionDeclaration(node)) return headOf(node);
  if (!ts.isClassDeclaration(node)) return textOf(node);
  const heritage = (node.heritageClauses ?? []).map((one) => ` ${one.getText()}`).join("");
  const members = node.members.filter(isPublic).map((one) => memberOf(one, node));
  const inside = members.length ? `\n${members.join("\n")}\n` : "";
  return `class ${node.name.text}${heritage} {${inside}}`;
}

function isPublic(member, _index, all) {
  if (member.name && (ts.isPrivateIdentifier(member.name) || ["name", "answer"].includes(member.name.text))) return false;
  // Of an overloaded function the heads count, and not the one that has the body.
  return !(member.body && all.some((one) => one !== member && !one.body && one.name?.text === member.name?.text && ts.isMethodDeclaration(one)));
}

function memberOf(member, owner) {
  const comment = commentsOf(member).map((one) => `  ${one.getText()}\n`).join("");
  if (!ts.isPropertyDeclaration(member)) return `${comment}  ${headOf(member)}`;
  const type = member.type ?? (ts.isAsExpression(member.initializer) ? member.initializer.type : undefined);
  if (!type) throw new Error(`${owner.name.text}.${member.name.text} has no type`);
  return `${comment}  readonly ${member.name.text}: ${type.getText()};`;
}

/** The text up to the body. */
function headOf(node) {
  const text = node.getSourceFile().text.slice(node.getStart(), node.body ? node.body.getFullStart() : node.end);
  return `${withoutModifiers(text).trim().replace(/;$/, "")};`;
}

const textOf = (node) => withoutModifiers(node.getText());
const withoutModifiers = (text) => text.replace(/^(?:(?:export|override|async|static(?= async))\s+)+/, "").replace(/^(static )async /, "$1");

function* lines() {
  yield "# Reference: TypeScript\n";
  yield "Written by `make generate` from `clients/typescript/src`. The guide is the";
  yield "[README](../../clients/typescript/README.md); [errors.md](errors.md) says what to do about each error.";
  const shown = new Set();
  for (const [entry, address] of Object.entries(ENTRIES)) {
    yield `\n## \`${address}\``;
    for (const { name, node } of exportsOf(entry)) {
      if (shown.has(node)) continue;
      shown.add(node);
      const comment = commentOf(node);
      yield `\n### ${name}\n${comment ? `\n${comment}\n` : ""}\n\`\`\`ts\n${declared(node)}\n\`\`\``;
    }
  }
}

process.stdout.write(`${[...lines()].join("\n")}\n`);
