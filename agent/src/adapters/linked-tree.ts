import { linkSync, lstatSync, readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { inBatches, inTurns } from "./batches.ts";
import { syncDirectory, writeDurably } from "./files.ts";

/** Directories of text files in which what did not change is a hard link to the directory before. */

type TextFile = { path: string; text: string; secret: boolean };

/** How a file was on the disk, by its path: who writes to it later leaves another one. */
export type Stamps = Map<string, string>;

/** Links to a file change its ctime and no more; another inode, size or time of change is another content. */
function stampOf(path: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.ino} ${found.size} ${found.mtimeNs}`;
}

export function stampFiles(directory: string, files: readonly Pick<TextFile, "path">[]): Stamps {
  return new Map(files.map(({ path }) => [path, stampOf(join(directory, path)) ?? ""]));
}

/**
 * Writes the files and `last`, and waits until all of it is on the disk: nothing of it is of use before. Those that have the same text in
 * `parent` are links to it, unless they were altered or taken away there since: they are written anew, and named in the result.
 */
export async function writeTree(
  directory: string,
  files: readonly TextFile[],
  last: TextFile,
  parent: { directory: string; files: ReadonlyMap<string, string>; stamps: Stamps } | undefined,
): Promise<{ stamps: Stamps; altered: string[] }> {
  await fs.mkdir(directory, { mode: 0o700 });
  const directories = new Set(files.map(({ path }) => dirname(path)).filter((path) => path !== "."));
  for (const path of directories) await fs.mkdir(join(directory, path), { recursive: true, mode: 0o700 });
  const [altered, changed]: [string[], TextFile[]] = [[], []];
  const stamps: Stamps = new Map();
  await inTurns(files, (file) => {
    const { path, text } = file;
    if (!parent || parent.files.get(path) !== text) return changed.push(file);
    const stamp = stampOf(join(parent.directory, path));
    if (stamp === undefined || stamp !== parent.stamps.get(path)) {
      altered.push(path);
      return changed.push(file);
    }
    linkSync(join(parent.directory, path), join(directory, path));
    return stamps.set(path, stamp);
  });
  await inBatches([...changed, last], 64, ({ path, text, secret }) =>
    writeDurably(join(directory, path), text, secret ? 0o600 : 0o640),
  );
  for (const [path, stamp] of stampFiles(directory, changed)) stamps.set(path, stamp);
  const parents = new Set([...directories].map((path) => dirname(path)).filter((path) => path !== "."));
  await Promise.all([...directories, ...parents, "."].map((path) => syncDirectory(join(directory, path))));
  return { stamps, altered };
}

/** The files that are wanted of those below a directory, in the order of their paths. */
export async function readTree(
  directory: string,
  wanted: (path: string) => boolean,
): Promise<Omit<TextFile, "secret">[]> {
  const files: Omit<TextFile, "secret">[] = [];
  await inTurns((await listFiles(directory)).filter(wanted).sort(), (path) =>
    files.push({ path, text: readFileSync(join(directory, path), "utf8") }),
  );
  return files;
}

async function listFiles(directory: string, below = ""): Promise<string[]> {
  const entries = await fs.readdir(join(directory, below), { withFileTypes: true });
  const found = entries.map(async (entry) => {
    const path = join(below, entry.name);
    return entry.isDirectory() ? await listFiles(directory, path) : [path];
  });
  return (await Promise.all(found)).flat();
}

/** What trees take together: what is linked into several counts once. */
export type Space = { bytes: number; inodes: number };

/** Bytes of a block as lstat(2) counts them, whatever the file system's own are. */
const block = 512;

/** Adds trees one by one: each call adds what a tree takes beyond those before it, and gives back the sum. */
export function measureTrees(): (directory: string) => Promise<Space> {
  const taken: Space = { bytes: 0, inodes: 0 };
  const seen = new Set<number>();
  return async (directory) => {
    const entries = await fs.readdir(directory, { recursive: true });
    await inTurns(["", ...entries], (path) => {
      const { ino, blocks } = lstatSync(join(directory, path));
      if (seen.has(ino)) return;
      seen.add(ino);
      taken.bytes += blocks * block;
      taken.inodes += 1;
    });
    return { ...taken };
  };
}

/** The file system of a directory: all of it, and what is used. Some make inodes as they need them, and tell of none. */
export async function readFileSystem(directory: string): Promise<{ all: Space; used: Space }> {
  const { blocks, bfree, bsize, files, ffree } = await fs.statfs(directory);
  return {
    all: { bytes: blocks * bsize, inodes: files },
    used: { bytes: (blocks - bfree) * bsize, inodes: files - ffree },
  };
}
