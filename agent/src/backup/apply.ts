import * as fs from "node:fs/promises";
import { join } from "node:path";
import { isFull, isMissing, readTextIfExists, syncDirectory, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { readLock } from "./encryption.ts";
import { type StoredBackup, storedBackup } from "./stored.ts";

/** The backups that are kept on the box: `<name>.age`, and beside it `<name>.json` with what is known without the key. */

export const backupDirectory = "/data/backups";

/** Bytes of one file, and how many there may be: /data also holds the logs. */
export const greatestBackup = 64 * 1024 * 1024;
const greatestNumber = 200;

const ending = ".age";

/** Newest first. What was put there by hand is listed with what can be seen of it. */
export async function listBackups(machine: Pick<Machine, "path">): Promise<StoredBackup[]> {
  const directory = machine.path(backupDirectory);
  const names = await fs.readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const files = names.filter((name) => /^[a-z0-9][a-z0-9_-]*\.age$/.test(name));
  const found = await Promise.all(files.map((file) => describe(directory, file.slice(0, -ending.length))));
  return found.flat().sort((one, other) => (one.time > other.time ? -1 : 1));
}

/** Throws `not-found`. */
export async function findBackup(machine: Pick<Machine, "path">, name: string): Promise<StoredBackup> {
  const [found] = await describe(machine.path(backupDirectory), name);
  if (!found) throw new SteelyardError("not-found", `there is no backup ${name}`);
  return found;
}

async function describe(directory: string, name: string): Promise<StoredBackup[]> {
  try {
    const { size, mtime } = await fs.stat(join(directory, `${name}${ending}`));
    const text = await readTextIfExists(join(directory, `${name}.json`));
    // A file beside it that is missing or damaged takes nothing but what it told.
    const known = storedBackup.safeParse(parseJson(text)).data;
    const seen = { time: mtime.toISOString(), lock: "unknown" as const, origin: "uploaded" as const };
    return [{ ...(known ?? seen), name, size }];
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "{}");
  } catch {
    return {};
  }
}

/** Throws `not-found`, and `too-large` for a file that is no backup of ours. */
export async function loadBackup(machine: Pick<Machine, "path">, name: string): Promise<Buffer> {
  const { size } = await findBackup(machine, name);
  if (size > greatestBackup) throw new SteelyardError("too-large", `backup ${name} has more than 64 MiB`);
  return await fs.readFile(join(machine.path(backupDirectory), `${name}${ending}`));
}

/** What would be kept of a new one. Throws `exists`, `disk-full`, `bad-backup`, `too-large`. */
export async function checkBackup(
  machine: Pick<Machine, "path">,
  about: Omit<StoredBackup, "size" | "lock">,
  data: Buffer,
): Promise<StoredBackup> {
  const { name } = about;
  const kept = { ...about, lock: readLock(data), size: data.length };
  if (data.length > greatestBackup) throw new SteelyardError("too-large", "a backup may have at most 64 MiB");
  const all = await listBackups(machine);
  if (all.some((each) => each.name === name)) throw new SteelyardError("exists", `there is a backup ${name} already`);
  if (all.length >= greatestNumber)
    throw new SteelyardError("disk-full", `${greatestNumber} backups are kept already: delete some`);
  return kept;
}

/** Keeps a new one: the whole file is on the disk under its name, or nothing is. Throws `exists`, `disk-full`, `bad-backup`. */
export async function keepBackup(
  machine: Pick<Machine, "path">,
  about: Omit<StoredBackup, "size" | "lock">,
  data: Buffer,
): Promise<StoredBackup> {
  const { name } = about;
  const kept = await checkBackup(machine, about, data);
  const at = (suffix: string) => join(machine.path(backupDirectory), `${name}${suffix}`);
  try {
    await writeAtomically(at(".json"), `${JSON.stringify(kept, null, 2)}\n`, 0o600);
    await writeAtomically(at(ending), data, 0o600);
  } catch (error) {
    await fs.rm(at(".json"), { force: true }).catch(() => undefined);
    const words = `backup ${name} could not be written: ${messageOf(error)}`;
    throw new SteelyardError(isFull(error) ? "disk-full" : "command-failed", words, { cause: error });
  }
  return kept;
}

/** Throws `not-found`. */
export async function deleteBackup(machine: Pick<Machine, "path">, name: string): Promise<void> {
  await findBackup(machine, name);
  const directory = machine.path(backupDirectory);
  await fs.rm(join(directory, `${name}${ending}`), { force: true });
  await fs.rm(join(directory, `${name}.json`), { force: true });
  await syncDirectory(directory);
}
