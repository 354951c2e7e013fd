import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { dirname, join } from "node:path";

/** Reads a text file; undefined when there is none. */
export async function readTextIfExists(path: string): Promise<string | undefined> {
  try {
    return await fs.readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** True for ENOENT and ENOTDIR: the path leads nowhere. */
export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}

export async function isThere(path: string): Promise<boolean> {
  return await fs.stat(path).then(
    () => true,
    () => false,
  );
}

/** Where a symbolic link points to; undefined when there is none. */
export async function readLink(path: string): Promise<string | undefined> {
  try {
    return await fs.readlink(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** True when the file system has no space, or the user's share of it is used up. */
export function isFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** Writes a file that did not exist and waits until its bytes are on the disk. */
export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const handle = await fs.open(path, "wx", mode);
  try {
    await handle.writeFile(content);
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until the names in a directory are on the disk. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a directory and those above it that are missing, with this mode whatever the umask says: the agent's is 0077, and
 * daemons with users of their own read what it renders.
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await fs.mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let each = path; each.length >= first.length; each = dirname(each)) await fs.chmod(each, mode);
}

/**
 * Replaces a file in one step: after a power cut it holds the old or the new content, never a part.
 * Write beside it, fsync, rename, fsync the directory. A directory that is missing is made, open to all if the file is.
 */
export async function writeAtomically(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const directory = dirname(path);
  await makeDirectory(directory, mode & 0o004 ? 0o755 : 0o700);
  const beside = join(directory, `.${randomBytes(6).toString("hex")}.new`);
  try {
    await writeDurably(beside, content, mode);
    await fs.rename(beside, path);
  } catch (error) {
    await fs.rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Takes a file away, durably; one that is not there is no mistake. */
export async function removeDurably(path: string): Promise<void> {
  await fs.rm(path, { force: true });
  await syncDirectory(dirname(path));
}

/** Points a symbolic link elsewhere in one step, durably. */
export async function swapLink(path: string, target: string): Promise<void> {
  const directory = dirname(path);
  const beside = join(directory, `.${randomBytes(6).toString("hex")}.new`);
  await fs.symlink(target, beside);
  try {
    await fs.rename(beside, path);
  } catch (error) {
    await fs.rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Runs with a secret in a file that nobody else can read, and that is gone afterwards: for commands that take it from a file alone. */
export async function withSecretFile<Result>(
  path: string,
  secret: string,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  await makeDirectory(dirname(path), 0o755);
  try {
    await fs.writeFile(path, secret, { mode: 0o600, flag: "wx" });
    return await use(path);
  } finally {
    await fs.rm(path, { force: true });
  }
}
