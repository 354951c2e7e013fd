import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeMachine } from "../src/adapters/machine.ts";
import { run } from "../src/adapters/process.ts";
import { makeControl } from "../src/commit/commit.ts";
import type { Configuration } from "../src/configuration/schema.ts";
import { openStore, type Store } from "../src/configuration/store.ts";
import { messageOf } from "../src/errors.ts";
import type { LoggedWrite } from "./block-log.ts";
import { type Course, describeState, kept, type State } from "./load.ts";
import type { Random } from "./random.ts";
import { type Recording, readMark } from "./recorder.ts";

/** Bytes a disk writes in one piece, for the sweep: what is longer may get there in part. */
const block = 4096;

/** `flushed`: all up to a flush, nothing else. `torn`: of the writes after it only some, as a disk with a cache may leave them. */
export type Kind = "flushed" | "torn";

/** A moment at which the power goes: the first `writes` entries of the log, those after the last flush in part. */
export type Point = { writes: number; kind: Kind };

export type Verdict = {
  point: Point;
  /** What the store opened with: the state before the commit that was under way, or the one after it. */
  outcome: "settled" | "old" | "new";
  /** Empty when all is well. */
  trouble: string[];
};

/** Chooses moments from the whole of the log: so many of each kind, in order. Every flush when there are not that many. */
export function choosePoints({ writes }: Recording, wanted: Record<Kind, number>, random: Random): Point[] {
  const all: Record<Kind, number[]> = { flushed: [], torn: [] };
  writes.forEach(({ flush }, index) => {
    if (flush) all.flushed.push(index + 1);
    else all.torn.push(index + 1);
  });
  return (["flushed", "torn"] as const)
    .flatMap((kind) => {
      const places = all[kind];
      // One from each of `count` stretches of the same length.
      const count = Math.min(wanted[kind], places.length);
      return Array.from({ length: count }, (_, at): Point => {
        const from = Math.floor((at * places.length) / count);
        const to = Math.floor(((at + 1) * places.length) / count);
        return { writes: places[from + random.below(to - from)] as number, kind };
      });
    })
    .sort((one, other) => one.writes - other.writes);
}

/** Lets the power go at every point, and mounts and opens what is on the disk then. `directory` is on a tmpfs. */
export async function replay(
  directory: string,
  recording: Recording,
  course: Course,
  points: readonly Point[],
  random: Random,
): Promise<Verdict[]> {
  const disk = new Disk(recording.initial);
  const verdicts: Verdict[] = [];
  let done = 0;
  /** Since the last flush. */
  let loose: LoggedWrite[] = [];
  let expected: State[] = course.slice(0, 1);
  for (const point of points) {
    for (const entry of recording.writes.slice(done, point.writes)) {
      expected = followMark(readMark(entry), course) ?? expected;
      if (entry.data.length > 0) loose.push(entry);
      if (!entry.flush) continue;
      for (const each of loose) disk.write(each.offset, each.data);
      loose = [];
    }
    done = point.writes;
    disk.save(join(directory, "replayed"), point.kind === "torn" ? tear(loose, random) : []);
    const { trouble, found } = await openDisk(directory, course, verdicts.length % 10 === 0);
    const which = expected.findIndex((state) => found !== undefined && isSame(state, found));
    if (found && which < 0) trouble.push(`holds ${show(found)}; expected ${expected.map(show).join(" or ")}`);
    verdicts.push({ point, outcome: expected.length === 1 ? "settled" : which === 1 ? "new" : "old", trouble });
  }
  return verdicts;
}

/** While a step is under way the state before it and the one after it are both right; once it is done, that one only. */
function followMark(mark: string | undefined, course: Course): State[] | undefined {
  const [, word, number] = /^(begun|done) (\d+)$/.exec(mark ?? "") ?? [];
  if (word === undefined) return undefined;
  const step = Number(number);
  return course.slice(word === "begun" ? step - 1 : step, step + 1);
}

function isSame(one: State, other: State): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function show(state: State): string {
  return JSON.stringify(state);
}

/**
 * What may have reached the disk of writes that no flush followed: any of their blocks. Half of the time a stretch from the
 * beginning, as of a disk that keeps the order; else each block by chance, few or many. Later ones never come before earlier ones of
 * the same place.
 */
function tear(writes: readonly LoggedWrite[], random: Random): LoggedWrite[] {
  const blocks = writes.flatMap(({ offset, data }) =>
    Array.from({ length: Math.ceil(data.length / block) }, (_, at) => ({
      offset: offset + at * block,
      data: data.subarray(at * block, (at + 1) * block),
      flush: false,
    })),
  );
  if (random.chance(0.5)) return blocks.slice(0, random.below(blocks.length + 1));
  const share = random.pick([0.1, 0.5, 0.9]);
  return blocks.filter(() => random.chance(share));
}

/** A disk of which most was never written: only the rest is saved. */
class Disk {
  readonly #bytes: Buffer;
  /** For each block, 1 when it was written. */
  readonly #used: Uint8Array;

  constructor(initial: Buffer) {
    this.#bytes = Buffer.from(initial);
    const zeros = Buffer.alloc(block);
    this.#used = new Uint8Array(initial.length / block).map((_, at) =>
      initial.compare(zeros, 0, block, at * block, (at + 1) * block) === 0 ? 0 : 1,
    );
  }

  write(offset: number, data: Buffer): void {
    data.copy(this.#bytes, offset);
    this.#used.fill(1, Math.floor(offset / block), Math.ceil((offset + data.length) / block));
  }

  /** Writes the disk to a file, with `more` written over it. Not asynchronous, for it is thousands of writes to memory. */
  save(path: string, more: readonly LoggedWrite[]): void {
    const file = openSync(path, "w");
    try {
      ftruncateSync(file, this.#bytes.length);
      for (let from = this.#used.indexOf(1); from >= 0; ) {
        const end = this.#used.indexOf(0, from);
        const to = end < 0 ? this.#used.length : end;
        writeSync(file, this.#bytes, from * block, (to - from) * block, from * block);
        from = this.#used.indexOf(1, to);
      }
      for (const { offset, data } of more) writeSync(file, data, 0, data.length, offset);
    } finally {
      closeSync(file);
    }
  }
}

/** Mounts the disk, as the box does when the power is back, and opens the configuration on it. */
async function openDisk(
  directory: string,
  course: Course,
  starts: boolean,
): Promise<{ trouble: string[]; found?: State }> {
  const trouble: string[] = [];
  const complain = (message: string) => void trouble.push(message);
  const mounted = join(directory, "mounted");
  try {
    await run(["mount", "-o", "loop,nosuid,nodev,noatime", join(directory, "replayed"), mounted]);
  } catch (error) {
    return { trouble: [`cannot be mounted: ${messageOf(error)}`] };
  }
  try {
    const store = await openStore(mounted, { info: () => {}, warn: complain, error: complain }, kept);
    const found = describeState(store);
    // What a rollback is made of. Three suffice: a generation never changes, and other points read other ones.
    const [, ...older] = await store.history();
    for (const { generation } of [older[0], older.at(-1), older[older.length >> 1]].filter(
      (each) => each !== undefined,
    ))
      await store.read(generation);
    if (starts) trouble.push(...(await startAgain(store, course)));
    await store.close();
    return { trouble, found };
  } catch (error) {
    return { trouble: [...trouble, messageOf(error)] };
  } finally {
    await unmount(mounted);
  }
}

/** The agent of the next boot: a commit that nobody confirmed goes back, and the next change lands. */
async function startAgain(store: Store, course: Course): Promise<string[]> {
  const trouble: string[] = [];
  const parent = course.find(({ generation }) => generation === store.pending()?.parent);
  const bootClock = { boot: () => "another boot", seconds: () => 0 };
  const control = makeControl(store, [], makeMachine({ log: { info() {}, warn() {}, error() {} }, bootClock }));
  await control.resume();
  const { digest, pending } = describeState(store);
  if (pending) trouble.push("still awaits its confirmation after a restart");
  if (parent && parent.digest !== digest) trouble.push(`did not go back to generation ${parent.generation}`);
  const author = { user: "admin", source: "local" };
  const change = (before: Configuration) => ({ ...before, farms: {} });
  const { generation } = await control.commit({ author, message: "after the restart", change, confirmWithin: 0 });
  if (control.current().generation !== generation) trouble.push("takes no change after the restart");
  return trouble;
}

/** Reads that a failed one left behind may still be under way: they are soon over. */
async function unmount(directory: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await run(["umount", directory]);
      return;
    } catch (error) {
      if (tries === 50) throw error;
      await sleep(100);
    }
  }
}
