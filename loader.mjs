import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * ts-node's loader behind a cache on the disk. The unit tests are a hundred processes of up to two hundred sources each: without it every one of
 * them loads the TypeScript compiler and strips the types of the same files again, which was most of what it cost.
 * There is one cached file per source. Its first line is the hash of all that it was made from, so that none can be out of date.
 */

const root = new URL("./", import.meta.url);
const cache = new URL("node_modules/.cache/typescript/", root);
const makers = [
  "loader.mjs",
  "tsconfig.json",
  "node_modules/ts-node/package.json",
  "node_modules/@swc/core/package.json",
];
const madeBy = hash(process.version, ...makers.map((path) => readFileSync(new URL(path, root))));

function hash(...parts) {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part).update("\0");
  return sum.digest("hex");
}

function isSource(url) {
  return url.startsWith(root.href) && url.endsWith(".ts") && !url.includes("/node_modules/");
}

/** Sources are imported by their whole name; all else is Node's to find. */
export function resolve(specifier, context, next) {
  if (/^(?:\.{1,2}\/|file:)/.test(specifier)) {
    const { href } = new URL(specifier, context.parentURL);
    if (isSource(href)) return { url: href, format: "module", shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!isSource(url)) return loadOther(url, context, next);
  const text = readFileSync(fileURLToPath(url));
  const file = new URL(`${hash(url).slice(0, 32)}.js`, cache);
  const key = hash(madeBy, url, text);
  return { format: "module", source: find(file, key) ?? (await strip(url, text, file, key)), shortCircuit: true };
}

/** As Node does it, but past tap's loader, which would read each file again and hand it over for a coverage that is not wanted. */
function loadOther(url, context, next) {
  const { format } = context;
  if (!url.startsWith("file:") || (format !== "module" && format !== "commonjs")) return next(url, context);
  const source = format === "module" ? readFileSync(fileURLToPath(url)) : null;
  return { format, source, shortCircuit: true };
}

function find(file, key) {
  try {
    const kept = readFileSync(file, "utf8");
    return kept.startsWith(`${key}\n`) ? kept.slice(key.length + 1) : undefined;
  } catch {
    return undefined;
  }
}

let tsNode;

async function strip(url, text, file, key) {
  tsNode ??= import("ts-node/esm");
  const { load: transpile } = await tsNode;
  const { source } = await transpile(url, { format: "module" }, () => ({ format: "module", source: text }));
  // Many processes fill the cache at once: written beside and renamed. One that cannot be written is only slow.
  const beside = new URL(`${file.href}.${process.pid}`);
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(beside, `${key}\n${source}`);
    renameSync(beside, file);
  } catch {}
  return source;
}
