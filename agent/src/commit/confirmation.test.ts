import { appendFile, readdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import { openStore } from "../configuration/store.ts";
import { makeControl } from "./commit.ts";
import type { ControlEvent } from "./control.ts";
import { defineSubsystem, type StepBase } from "./subsystem.ts";

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const remote = { user: "ada", source: "192.0.2.7" };
const local = { user: "admin", source: "local" };

type NameStep = StepBase & { kind: "name"; hostname: string };

/** A box whose boot, clocks and host name the test holds in its hand. */
function setUp(t: Test) {
  const root = t.testdir();
  const box = { boot: "first", seconds: 100, wall: Date.parse("2026-01-02T03:04:05Z"), hostname: "" };
  const hostname = defineSubsystem<string, NameStep>({
    name: "hostname",
    dependsOn: [],
    verify: () => [],
    render: ({ system }) => system.hostname,
    observe: async () => box.hostname,
    plan: (now, wanted) => (now === wanted ? [] : [{ kind: "name", summary: `name ${wanted}`, hostname: wanted }]),
    executors: {
      name: async ({ hostname }) => {
        box.hostname = hostname;
      },
    },
    endangers: (before, after) => (before.system.hostname === after.system.hostname ? [] : ["the name changes"]),
  });
  /** The agent starts: on the same disk, whether or not the box was restarted. */
  const start = async () => {
    const machine = makeMachine({
      root,
      log: quiet,
      now: () => new Date(box.wall),
      bootClock: { boot: () => box.boot, seconds: () => box.seconds },
    });
    const control = makeControl(await openStore(machine.path("/config"), quiet), [hostname], machine);
    const events: ControlEvent[] = [];
    control.subscribe((event) => void events.push(event));
    await control.resume();
    const rename = (name: string, options: { author?: typeof remote; confirmWithin?: number; dryRun?: boolean } = {}) =>
      control.commit({ author: remote, message: `call it ${name}`, change: nameIt(name), ...options });
    return { control, events, rename, record: () => readFile(machine.path("/config/pending.yaml"), "utf8") };
  };
  return { box, start, recordPath: `${root}/config/pending.yaml` };
}

const nameIt =
  (name: string) =>
  (current: Configuration): Configuration => ({
    ...current,
    system: { ...emptyConfiguration().system, hostname: name },
  });

async function until(done: () => boolean): Promise<void> {
  for (let tries = 0; !done() && tries < 200; tries += 1) await sleep(25);
}

t.test("a change that nobody confirms goes back by itself, and the history tells so", async (t) => {
  const { box, start } = setUp(t);
  const { control, events, rename } = await start();
  await rename("one");
  const { pending } = await rename("two", { confirmWithin: 2 });
  t.match(pending, { generation: 2, parent: 1, author: "ada", deadline: "2026-01-02T03:06:05.000Z" });
  t.equal(box.hostname, "two");
  box.wall += 365 * 86_400_000;
  await sleep(1_200);
  t.equal(box.hostname, "two", "a jump of the clock on the wall does not end the wait");
  t.equal(control.pending()?.deadline, new Date(box.wall + 120_000).toISOString(), "and what is shown goes with it");
  box.seconds += 120;
  // The generation changes before the machine does.
  await until(() => events.some(({ kind }) => kind === "reverted"));
  t.equal(box.hostname, "one");
  t.match(control.current(), { generation: 3, configuration: { system: { hostname: "one" } } });
  t.match((await control.history())[0], {
    message: /2 was not confirmed in time: back to generation 1/,
    source: "timer",
  });
  t.match(events.slice(-3), [
    { kind: "committed", generation: 2 },
    { kind: "awaiting-confirmation", generation: 2 },
    { kind: "reverted", generation: 3, from: 2, to: 1, reason: "time-out" },
  ]);
});

t.test(
  "a first generation that is not confirmed leaves a box without a configuration, over a restart too",
  async (t) => {
    const { box, start, recordPath } = setUp(t);
    const whole = (path: string) => readdir(`${dirname(recordPath)}/${path}`);
    for (const end of ["time-out", "asked", "restart", "damaged record"]) {
      const { control, events, rename } = await start();
      t.match((await rename("one", { confirmWithin: 2 })).pending, { generation: 1, parent: 0, reasons: [] });
      t.equal(box.hostname, "one");
      if (end === "asked") t.match(await control.revert(local), { generation: 0 });
      if (end === "time-out") box.seconds += 120;
      if (end === "damaged record") await appendFile(recordPath, "}{");
      if (end === "restart") box.boot = "second";
      const restarted = end === "restart" || end === "damaged record";
      if (!restarted) await until(() => events.some(({ kind }) => kind === "reverted"));
      const next = restarted ? await start() : { control, events };
      t.match(next.events.at(-1), { kind: "reverted", generation: 0, from: 1, to: 0 }, end);
      t.equal(next.control.current().generation, 0);
      t.equal(next.control.pending(), undefined);
      t.same(await whole("generations"), []);
      t.same(await whole(""), ["generations"]);
      if (!restarted) t.equal(box.hostname, emptyConfiguration().system.hostname, "and the machine goes back too");
      await next.control.reconcile("nothing to do");
    }
    const { control, rename } = await start();
    await rename("one", { confirmWithin: 2 });
    await control.confirm(local, 1);
    t.equal((await start()).control.current().configuration.system.hostname, "one");
  },
);

t.test("a confirmed change stays, over a restart too", async (t) => {
  const { box, start } = setUp(t);
  const { control, events, rename, record } = await start();
  await rename("one");
  await t.rejects(control.confirm(local), { code: "not-found" });
  await rename("two", { confirmWithin: 2 });
  t.match(await record(), /generation: 2/);
  await t.rejects(control.confirm(local, 1), { code: "stale" });
  await control.confirm(local, 2);
  t.match(events.at(-1), { kind: "confirmed", generation: 2, author: "admin" });
  await t.rejects(record(), { code: "ENOENT" });
  box.boot = "second";
  t.equal((await start()).control.current().generation, 2);
});

t.test("while a change is pending others are refused, by name and time; a dry run is not", async (t) => {
  const { start } = setUp(t);
  const { control, rename } = await start();
  await rename("one");
  await rename("two", { confirmWithin: 2 });
  await t.rejects(rename("three"), {
    code: "awaiting-confirmation",
    message: /generation 2 by ada \(192\.0\.2\.7\) awaits its confirmation until 2026-01-02T03:06:05/,
  });
  await t.rejects(control.rollback(1, remote), { code: "awaiting-confirmation" });
  const dry = await rename("three", { dryRun: true });
  t.equal(dry.steps.length, 1);
  t.match(
    dry.warnings,
    [{ path: "pending", message: /2 by ada .* awaits its confirmation/ }],
    "what would refuse it is told",
  );
});

t.test("somebody who does not want to wait takes the change back", async (t) => {
  const { box, start } = setUp(t);
  const { control, events, rename } = await start();
  await rename("one");
  await rename("two", { confirmWithin: 2 });
  const result = await control.revert(local);
  t.match(result, { generation: 3, steps: [{ summary: "name one" }] });
  t.match(result.compare(), [{ object: "system", change: "changed" }]);
  t.equal(box.hostname, "one");
  t.match(events.at(-1), { kind: "reverted", reason: "asked", author: "admin" });
  await t.rejects(control.revert(local), { code: "not-found" });
});

t.test("a restart of the machine takes back what was not confirmed, before it is served", async (t) => {
  const { box, start } = setUp(t);
  const { rename } = await start();
  await rename("one");
  await rename("two", { confirmWithin: 60 });
  box.boot = "second";
  box.seconds = 5;
  box.hostname = "";
  const { control, events } = await start();
  t.match(control.current(), { generation: 3, configuration: { system: { hostname: "one" } } });
  t.match(events, [{ kind: "reverted", from: 2, to: 1, reason: "restart", source: "boot" }]);
  t.equal(control.pending(), undefined);
});

t.test("a restart of the agent alone goes on counting", async (t) => {
  const { box, start } = setUp(t);
  const { rename } = await start();
  await rename("one");
  await rename("two", { confirmWithin: 1 });
  box.seconds += 30;
  const second = await start();
  t.equal(second.control.pending()?.generation, 2);
  box.seconds += 31;
  const third = await start();
  t.equal(third.control.current().configuration.system.hostname, "one", "its time was up while the agent was away");
});

t.test("a damaged record counts as not confirmed", async (t) => {
  const { start, recordPath } = setUp(t);
  const { rename } = await start();
  await rename("one");
  await rename("two", { confirmWithin: 60 });
  await appendFile(recordPath, "}{");
  t.equal((await start()).control.current().configuration.system.hostname, "one");
});

t.test("what can cut off a remote operator has to be confirmed without being asked", async (t) => {
  const { start } = setUp(t);
  const { control, rename } = await start();
  t.notOk((await rename("one")).pending, "there is nothing to go back to from the first one");
  t.match(await rename("two", { dryRun: true }), { confirmWithin: 5, reasons: ["the name changes"] });
  t.notOk((await rename("two", { author: local })).pending, "nobody is cut off at the console");
  t.notOk((await rename("three", { confirmWithin: 0 })).pending, "an operator may waive it");
  t.match((await rename("four")).pending, { reasons: ["the name changes"] });
  await control.confirm(remote);
  t.match(
    (await rename("five", { author: { user: "ada", source: "ssh 192.0.2.7" } })).pending,
    {},
    "nor does SSH help",
  );
  await control.confirm(remote);
  const harmless = (current: Configuration) => ({ ...current, virtualAddresses: {} });
  t.notOk((await control.commit({ author: remote, message: "nothing", change: harmless })).pending);
});

t.test("damage is told until a commit mends it", async (t) => {
  const { start, recordPath } = setUp(t);
  const first = await start();
  await first.rename("one", { confirmWithin: 0 });
  await first.rename("two", { confirmWithin: 0 });
  await appendFile(`${dirname(recordPath)}/generations/2/system.yaml`, "#");
  const { control, events } = await start();
  const damage = { generation: 2, serving: 1, reason: "damaged" };
  t.match(events, [{ kind: "configuration-damaged", ...damage }]);
  t.match(control.damage(), { ...damage, message: /generation 2 cannot be used/ });
  await t.rejects(control.rollback(2, local), { code: "corrupt" });
  t.match(control.damage(), damage, "what is refused mends nothing");
  t.equal((await control.rollback(1, local)).generation, 3, "to keep the one that stands in is a commit too");
  t.equal(control.damage(), undefined);
  const late: ControlEvent[] = [];
  control.subscribe((event) => void late.push(event));
  t.same(late, [], "who comes later is not told");
  t.equal((await start()).control.damage(), undefined);
});
