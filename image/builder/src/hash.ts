import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join, relative } from "node:path";

/**
 * The hash of files and folders by content, name, kind and executable bit; times and owners do not count, so a fresh clone
 * and a touched file give the same. `strings` are further inputs such as versions.
 */
export async function hashInputs(paths: readonly string[], strings: readonly string[] = []): Promise<string> {
  const hash = createHash("sha256");
  for (const text of strings) hash.update(`string ${text.length} ${text}\n`);
  for (const path of paths) for (const line of await describe(path, path)) hash.update(`${line}\n`);
  return hash.digest("hex");
}

async function describe(path: string, base: string): Promise<string[]> {
  const found = await lstat(path);
  const name = relative(base, path);
  if (found.isSymbolicLink()) return [`link ${name} ${await readlink(path)}`];
  if (found.isDirectory()) {
    const lines: string[] = [];
    for (const entry of (await readdir(path)).sort()) lines.push(...(await describe(join(path, entry), base)));
    return lines;
  }
  const digest = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  return [`file ${name} ${(found.mode & 0o111) === 0 ? "-" : "x"} ${digest}`];
}

/** SHA-256 of one file of any size, in hexadecimal. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
