import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { enterBox } from "../netns-tests/lab.ts";
import { run } from "../src/adapters/process.ts";
import { type Course, commitMixedLoad } from "./load.ts";
import { makeRandom } from "./random.ts";
import { diskSize, type Recording, recordWrites } from "./recorder.ts";
import { choosePoints, type Kind, replay, type Verdict } from "./replay.ts";
import { withoutSync } from "./sabotage.ts";

/**
 * The power goes at any moment of a mixed load of commits, and comes back. All that is made stands in a mount namespace of its
 * own and is gone with it. STEELYARD_CRASH_POINTS says how often the power goes, STEELYARD_CRASH_SEED repeats a run.
 */
const points = Number(process.env.STEELYARD_CRASH_POINTS ?? 520);
const seed = Number(process.env.STEELYARD_CRASH_SEED ?? Date.now() % 2 ** 31);
/** A step leaves some ten flushes: enough of them that none has to be chosen twice. */
const steps = Math.max(80, Math.ceil(points / 8));

if (await enterBox(fileURLToPath(import.meta.url))) {
  const directory = await fs.mkdtemp(join(tmpdir(), "steelyard-crash-"));
  t.teardown(async () => {
    await run(["umount", "--lazy", directory]);
    await fs.rmdir(directory);
  });
  await run(["mount", "-t", "tmpfs", "-o", `size=${8 * diskSize}`, "steelyard-crash", directory]);
  t.comment(`seed ${seed}`);

  await t.test(
    "a power cut at any block write of /config leaves the old generation or the new one, whole",
    async (t) => {
      const begin = performance.now();
      const { recording, course } = await record(directory, steps);
      const recorded = performance.now();
      const { writes } = recording;
      const flushes = writes.filter(({ flush }) => flush).length;
      t.comment(`${steps} steps: ${writes.length - flushes} writes, ${flushes} flushes`);
      const verdicts = await sweep(directory, recording, course, points);
      const ended = performance.now();
      t.comment(`recorded in ${seconds(begin, recorded)} s, replayed in ${seconds(recorded, ended)} s`);
      report(t, verdicts);
      t.ok(verdicts.length >= Math.min(points, 500), `the power went ${verdicts.length} times`);
      const count = (test: (verdict: Verdict) => boolean) => verdicts.filter(test).length;
      t.ok(count(({ point }) => point.kind === "flushed") > points / 3, "many of them at the boundary of a flush");
      for (const each of ["old", "new"] as const)
        t.ok(count(({ outcome }) => outcome === each) > points / 50, `commits were cut, and left the ${each} state`);
      t.same(describeTrouble(verdicts), []);
    },
  );

  await t.test("the sweep finds a store that does not wait for the disk", async (t) => {
    const names = await withoutSync("files", () => record(directory, steps / 2));
    const damaged = describeTrouble(await sweep(directory, names.recording, names.course, 30));
    t.ok(damaged.length > 0, `files not synced: ${damaged.length} findings, such as: ${damaged[0]}`);
    const nothing = await withoutSync("all", () => record(directory, steps / 2));
    const lost = describeTrouble(await sweep(directory, nothing.recording, nothing.course, 30));
    t.ok(lost.length > 0, `nothing synced: ${lost.length} findings, such as: ${lost[0]}`);
  });
}

function seconds(from: number, to: number): string {
  return ((to - from) / 1000).toFixed(1);
}

async function record(directory: string, steps: number): Promise<{ recording: Recording; course: Course }> {
  let course: Course = [];
  const recording = await recordWrites(directory, async (mountPoint, mark) => {
    course = await commitMixedLoad(mountPoint, mark, steps, seed);
  });
  return { recording, course };
}

/** Half of the points are flush boundaries, half of them lie between. */
async function sweep(directory: string, recording: Recording, course: Course, count: number): Promise<Verdict[]> {
  const random = makeRandom(seed);
  const flushed = Math.floor(count / 2);
  const chosen = choosePoints(recording, { flushed, torn: count - flushed }, random);
  return await replay(directory, recording, course, chosen, random);
}

function report(t: Test, verdicts: readonly Verdict[]): void {
  const count = (test: (verdict: Verdict) => boolean) => verdicts.filter(test).length;
  const of = (kind: Kind) => count(({ point }) => point.kind === kind);
  t.comment(`${verdicts.length} power cuts: ${of("flushed")} at a flush, ${of("torn")} with writes after it in part`);
  const outcome = (name: Verdict["outcome"]) => count(({ outcome }) => outcome === name);
  t.comment(`${outcome("settled")} between commits; during one: ${outcome("old")} old, ${outcome("new")} new`);
}

function describeTrouble(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ point, trouble }) =>
    trouble.map((words) => `after ${point.writes} entries of the log (${point.kind}): ${words}`),
  );
}
