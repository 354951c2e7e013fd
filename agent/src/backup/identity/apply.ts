import * as fs from "node:fs/promises";
import { join } from "node:path";
import { isMissing, writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import { type IdentityFile, modeOf } from "../contents.ts";

/** What clients know the box by: certificate and key of the API, host keys of SSH. The machine id is no part of it. */
const directories = ["api", "ssh"];
const place = "/config/local";

export async function readIdentityFiles(machine: Pick<Machine, "path">): Promise<IdentityFile[]> {
  const found = await Promise.all(directories.map((each) => readDirectory(machine.path(place), each)));
  return found.flat();
}

async function readDirectory(root: string, directory: string): Promise<IdentityFile[]> {
  const names = await fs.readdir(join(root, directory)).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  // Files that begin with a dot are on their way to their place.
  const files = names.filter((name) => !name.startsWith(".")).sort();
  return await Promise.all(
    files.map(async (name) => {
      const path = `${directory}/${name}`;
      return { path, content: await fs.readFile(join(root, path)), mode: modeOf(path) };
    }),
  );
}

/**
 * Puts them in place of the box's own, each in one step, and gives back how to undo it. When one cannot be written, those
 * before it go back, and the error is thrown.
 */
export async function writeIdentityFiles(
  machine: Pick<Machine, "path">,
  files: readonly IdentityFile[],
): Promise<() => Promise<void>> {
  const before = await readIdentityFiles(machine);
  const write = async ({ path, content, mode }: IdentityFile) =>
    await writeAtomically(join(machine.path(place), path), content, mode);
  const undo = async () => {
    for (const each of before) await write(each);
  };
  try {
    for (const each of files) await write(each);
  } catch (error) {
    await undo().catch(() => undefined);
    throw error;
  }
  return undo;
}
