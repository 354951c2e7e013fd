import t from "tap";
import { makeMachine } from "../../adapters/machine.ts";
import type { BoundStep, Subsystem } from "../../commit/subsystem.ts";
import { type Configuration, emptyConfiguration, farm } from "../../configuration/schema.ts";
import { watchDataPlane } from "./watch.ts";

const web = farm.parse({ profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] });

/** Watches until so many repairs were asked for, with intervals of a few milliseconds; gives the reasons and the times. */
async function watch(
  root: string,
  farms: Configuration["farms"],
  drift: BoundStep[],
  { repairs, fail }: { repairs: number; fail?: boolean },
) {
  const quiet = () => {};
  const errors: string[] = [];
  const machine = makeMachine({ root, log: { info: quiet, warn: quiet, error: (message) => errors.push(message) } });
  const ending = new AbortController();
  const reasons: string[] = [];
  const times: number[] = [];
  const other: Subsystem = {
    name: "other",
    dependsOn: [],
    verify: () => [],
    check: async () => {},
    endangers: () => [],
    plan: async () => drift,
  };
  // The watch does not keep a process alive; a test needs something that does.
  const alive = setInterval(quiet, 1_000);
  await watchDataPlane(
    machine,
    {
      current: () => ({ generation: 1, configuration: { ...emptyConfiguration(), farms } }),
      reconcile: async (reason) => {
        reasons.push(reason);
        times.push(Date.now());
        if (reasons.length >= repairs) ending.abort();
        if (fail) throw new Error("it will not start");
      },
    },
    { subsystems: [other], signal: ending.signal, interval: 20, comparison: 40 },
  );
  clearInterval(alive);
  return { reasons, times, errors };
}

const step: BoundStep = { kind: "x", summary: "put it right", subsystem: "other", execute: async () => {} };

t.test("a farm without nftlb is repaired", async (t) => {
  const { reasons } = await watch(t.testdir({}), { web }, [], { repairs: 2 });
  t.same(reasons, ["nftlb stopped or started anew", "nftlb stopped or started anew"]);
});

t.test("without an enabled farm nftlb is not asked; drift of any subsystem is found all the same", async (t) => {
  const { reasons } = await watch(t.testdir({}), { web: { ...web, enabled: false } }, [step], { repairs: 1 });
  t.same(reasons, ["other is not as configured: put it right"]);
});

t.test("a repair that fails is tried again, later each time", async (t) => {
  const { times, errors } = await watch(t.testdir({}), { web }, [], { repairs: 4, fail: true });
  const [first = 0, second = 0, , last = 0] = times;
  t.ok(last - first >= 40 + 80 + 160 - 20, `${last - first} ms for 40, 80 and 160`);
  t.ok(second - first >= 30);
  t.match(errors[0], /it will not start/);
});
