import fc from "fast-check";
import t from "tap";
import { damping, judge, startHealth } from "./verdict.ts";

const thresholds = { rise: 2, fall: 3 };

/** Probes one second apart. */
function run(results: readonly boolean[], limits = thresholds, step = 1_000) {
  let health = startHealth(0);
  return results.map((succeeded, at) => {
    health = judge(health, succeeded, (at + 1) * step, limits);
    return health;
  });
}

t.test("a verdict takes as many probes in a row as rise and fall say", async (t) => {
  const words = (results: boolean[]) => run(results).map(({ verdict }) => verdict);
  t.same(words([false, false, true, false, false, false]), ["up", "up", "up", "up", "up", "down"]);
  t.same(words([false, false, false, true, false, true, true]), ["up", "up", "down", "down", "down", "down", "up"]);
  t.equal(run([false, false, false]).at(-1)?.since, 3_000);
});

t.test("what falls again and again is kept down, longer each time", async (t) => {
  const once = [false, false, false, true, true];
  const healths = run([...once, ...once, ...once]);
  t.equal(healths.at(-1)?.verdict, "down", "the third fall in five minutes is held");
  t.equal(healths.at(-1)?.heldUntil, 13_000 + damping.hold);
  const patient = run([...once, ...once, ...once, ...Array(40).fill(true)]);
  t.equal(patient.at(-1)?.verdict, "up", "after the hold time it returns by itself");
  let health = startHealth(0);
  for (let at = 1; at < 5_000; at++)
    health = judge(health, health.verdict === "down", at * 1_000, { rise: 1, fall: 1 });
  t.ok(health.heldUntil - health.since <= damping.longest);
});

t.test("property: no verdict changes without its probes in a row, and none changes twice in fewer", async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 200 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      (results, rise, fall) => {
        const healths = run(results, { rise, fall });
        let before: string = "up";
        healths.forEach(({ verdict }, at) => {
          if (verdict === before) return;
          const needed = verdict === "up" ? rise : fall;
          const last = results.slice(Math.max(0, at - needed + 1), at + 1);
          if (last.length < needed || last.some((each) => each !== (verdict === "up")))
            throw new Error(`became ${verdict} at ${at} after ${last}`);
          before = verdict;
        });
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});

t.test("property: whatever the probes, falls within the window are few", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 100, maxLength: 600 }), (results) => {
      const healths = run(results, { rise: 1, fall: 1 }, 1_000);
      const falls = healths.filter(
        ({ verdict }, at) => verdict === "down" && (healths[at - 1]?.verdict ?? "up") === "up",
      );
      // Two before the damping begins, then one for each hold time of 30, 60, 120, ... seconds.
      const times = falls.map(({ since }) => since);
      for (const time of times) {
        const inWindow = times.filter((each) => each > time - damping.window && each <= time);
        if (inWindow.length > 6) throw new Error(`${inWindow.length} falls within five minutes`);
      }
    }),
    { numRuns: 200 },
  );
  t.pass();
});
