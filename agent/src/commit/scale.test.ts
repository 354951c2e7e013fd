import t, { type Test } from "tap";
import { setUpServer } from "../api/testing.ts";
import { farm } from "../configuration/schema.ts";
import { openStore } from "../configuration/store.ts";
import type { L4Artefacts } from "../lslb/l4/document.ts";
import { planDataPlane } from "../lslb/l4/plan.ts";
import { renderFarms } from "../lslb/l4/render.ts";
import { verifyFarms } from "../lslb/l4/verify.ts";
import { networkInterface, virtualAddress } from "../network/schema.ts";
import { verifyNetwork } from "../network/verify.ts";
import { defineSubsystem, type StepBase } from "./subsystem.ts";

/**
 * A change of one farm must not cost what all farms cost: ratios, for times differ from machine to machine. `make bench
 * ONLY=control` has the times, with the real data plane.
 */
t.setTimeout(240_000);

const quiet = { info: () => {}, warn: () => {}, error: () => {} };

/** The checks, the rendering and the planning of farms and addresses as they are; the data plane remembers what it is given. */
function rememberDataPlane() {
  let now: L4Artefacts = { dataPlane: { state: "running" }, farms: {}, marks: {}, handover: false };
  type Step = StepBase & { kind: "take"; wanted: L4Artefacts };
  return defineSubsystem<L4Artefacts, Step>({
    name: "memory",
    dependsOn: [],
    verify: (configuration) => [...verifyNetwork(configuration), ...verifyFarms(configuration)],
    render: renderFarms,
    observe: async () => now,
    plan: (before, wanted) => {
      const [step] = planDataPlane(before, wanted);
      return step ? [{ kind: "take", summary: step.summary, wanted }] : [];
    },
    executors: {
      take: async ({ wanted }) => {
        now = wanted;
      },
    },
  });
}

const addressOf = (number: number) => `10.1.${number >> 7}.${(number % 128) + 1}`;

function makeFarm(number: number, enabled: boolean) {
  const backends = Array.from({ length: 10 }, (_, at) => [
    `b${at}`,
    { address: `10.2.${number >> 4}.${(number % 16) * 12 + at}` },
  ]);
  return {
    profile: "l4xnat",
    enabled,
    virtualAddresses: [addressOf(Math.floor(number / 10))],
    ports: [String(8000 + (number % 10))],
    backends: Object.fromEntries(backends),
  };
}

/** Milliseconds of the processor: what else the machine does is not in it. */
async function processorTime(task: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await task();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function measure(t: Test, count: number) {
  const { control, server, machine } = await setUpServer(t, { subsystems: [rememberDataPlane()] });
  const numbers = Array.from({ length: count }, (_, number) => number);
  await control.commit({
    author: { user: "admin", source: "local" },
    message: `${count} farms`,
    change: (current) => ({
      ...current,
      interfaces: { eth0: networkInterface.parse({ ipv4: { method: "static", addresses: ["10.1.255.1/16"] } }) },
      virtualAddresses: Object.fromEntries(
        numbers
          .filter((number) => number % 10 === 0)
          .map((number) => [
            `a${number}`,
            virtualAddress.parse({ interface: "eth0", address: `${addressOf(number / 10)}/16` }),
          ]),
      ),
      // As many as the data plane has marks for.
      farms: Object.fromEntries(numbers.map((number) => [`f${number}`, farm.parse(makeFarm(number, number % 10 < 4))])),
    }),
  });
  const commits: number[] = [];
  for (let round = 0; round < 15; round++) {
    const change = () =>
      server.local.inject({ method: "PATCH", url: "/api/v1/farms/f1/backends/b1", payload: { weight: 2 + round } });
    commits.push(await processorTime(async () => t.equal((await change()).statusCode, 200)));
  }
  const difference = await processorTime(async () => {
    t.match((await server.local.inject("/api/v1/configuration/diff")).json(), {
      differences: [{ object: "farms/f1" }],
    });
  });
  const load = await processorTime(() => openStore(machine.path("/config"), quiet));
  // The first ones have the compiler at work.
  const middle = commits.slice(5).sort((one, other) => one - other)[5] ?? 0;
  return { commit: middle, difference, load };
}

t.test("ten times the farms cost a commit of one, and a start, not much more than ten times the time", async (t) => {
  await measure(t, 20);
  const small = await measure(t, 100);
  const large = await measure(t, 1_000);
  for (const key of ["commit", "difference", "load"] as const) {
    const ratio = large[key] / Math.max(small[key], 2);
    const words = `${key}: ${small[key].toFixed(1)} ms at 100 farms, ${large[key].toFixed(1)} ms at 1,000`;
    t.comment(words);
    t.ok(ratio < 20, words);
  }
  // What stayed is neither parsed nor checked nor rendered again.
  t.ok(large.commit < large.load, `a commit (${large.commit.toFixed(1)} ms) costs less than reading everything`);
});
