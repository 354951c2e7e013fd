import { join } from "node:path";
import { measureTrees, readFileSystem, type Space } from "../adapters/linked-tree.ts";
import type { Logger } from "../adapters/machine.ts";
import { messageOf } from "../errors.ts";

/** Takes away generations that are too many: by their number, and by the space they take. */
export type Retention = {
  /**
   * Too many go by their number at once, and by their space in the background, where it has to be measured. The current one
   * (the first of `stays`) and the newest before it stay in any case. A commit stands whether or not this works: it never throws.
   */
  prune(limits: Limits): Promise<void>;
  /** When nothing is at work in the background. */
  settled(): Promise<void>;
};

/** `diskShare` is in percent of the file system. */
type Limits = { count: number; diskShare: number; stays: readonly number[] };

export function makeRetention(parts: {
  /** The directory. */
  generations: string;
  /** Newest first. */
  list(): Promise<number[]>;
  /** Out of the history at once; its files go in the background, for a thousand take a while. */
  remove(number: number): Promise<void>;
  /** Takes the files of those that were removed. */
  sweep(): Promise<void>;
  log: Logger;
}): Retention {
  const { generations, list, remove, sweep, log } = parts;
  let background: Promise<void> = Promise.resolve();
  const tolerate = (what: string) => (error: unknown) => log.warn(`${what}: ${messageOf(error)}`);

  /** Newest first, and which of them may go. */
  async function look({ stays }: Limits): Promise<{ numbers: number[]; mayGo(number: number): boolean }> {
    const numbers = await list();
    const before = numbers.find((each) => each < (stays[0] ?? 0));
    return { numbers, mayGo: (number) => number !== before && !stays.includes(number) };
  }

  async function pruneByCount(limits: Limits): Promise<void> {
    const { numbers, mayGo } = await look(limits);
    for (const number of numbers.slice(limits.count).filter(mayGo)) await remove(number);
  }

  async function pruneByShare(limits: Limits): Promise<void> {
    const { numbers, mayGo } = await look(limits);
    const beyond = (await listBeyond(generations, numbers, limits.diskShare)).filter(mayGo);
    if (beyond.length === 0) return;
    const words =
      beyond.length > 1 ? `generations ${beyond.at(-1)} to ${beyond[0]} go` : `generation ${beyond[0]} goes`;
    log.info(`${words}: the history takes more than ${limits.diskShare} % of the configuration disk`);
    for (const number of beyond) await remove(number);
  }

  return {
    async prune(limits) {
      await pruneByCount(limits).catch(tolerate("removing generations"));
      background = background
        .then(() => pruneByShare(limits))
        .catch(tolerate("measuring the generations"))
        .then(sweep)
        .catch(tolerate("removing generations"));
    },
    settled: () => background,
  };
}

/**
 * The oldest generations, without which the others take at most `share` percent of the file system's space, and of its inodes: a
 * commit of a thousand objects takes as many. What two generations share counts for the newer: it stays when the older goes.
 * Cheap as long as the whole file system is used less than that.
 */
async function listBeyond(generations: string, numbers: readonly number[], share: number): Promise<number[]> {
  const { all, used } = await readFileSystem(generations);
  const isBeyond = ({ bytes, inodes }: Space) =>
    bytes > (all.bytes * share) / 100 || (all.inodes > 0 && inodes > (all.inodes * share) / 100);
  if (!isBeyond(used)) return [];
  const add = measureTrees();
  for (const [at, number] of numbers.entries())
    if (isBeyond(await add(join(generations, String(number))))) return numbers.slice(at);
  return [];
}
