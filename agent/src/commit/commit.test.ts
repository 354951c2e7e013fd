import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { type Configuration, emptyConfiguration, farm } from "../configuration/schema.ts";
import { openStore } from "../configuration/store.ts";
import { makeControl } from "./commit.ts";
import type { ControlEvent } from "./control.ts";
import { orderByDependency } from "./order.ts";
import { filesOf } from "./testing.ts";

const author = { user: "admin", source: "local" };
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

async function setUp(t: Test) {
  const root = t.testdir();
  const journal: string[] = [];
  const machine = makeMachine({ root, log: quiet, now: () => new Date("2026-01-02T03:04:05Z") });
  const store = await openStore(machine.path("/config"), quiet);
  const registry = [filesOf("second", ["first"], journal), filesOf("first", [], journal)];
  const control = makeControl(store, registry, machine);
  const put = (name: string, description: string) => (current: Configuration) => ({
    ...current,
    farms: {
      ...current.farms,
      [name]: farm.parse({ profile: "l4xnat", description, virtualAddresses: ["192.0.2.1"], ports: ["80"] }),
    },
  });
  const commit = (name: string, description: string, dryRun = false) =>
    control.commit({ author, message: `put ${name}`, change: put(name, description), dryRun });
  const onDisk = async (subsystem: string) =>
    (await fs.readdir(machine.path(`/run/${subsystem}`)).catch(() => [])).sort();
  return { control, commit, onDisk, journal, machine, registry };
}

t.test("a commit applies in dependency order and becomes the current generation", async (t) => {
  const { control, commit, journal } = await setUp(t);
  const result = await commit("web", "odd");
  t.match(result, {
    generation: 1,
    warnings: [{ path: "farms.web.description" }, {}],
    steps: [{ subsystem: "first" }, { subsystem: "second" }],
  });
  t.same(journal, ["first write /run/first/web", "second write /run/second/web"]);
  t.equal(control.current().generation, 1);
  t.same((await commit("web", "odd")).steps, [], "the same again changes nothing");
  t.equal(control.current().generation, 1);
});

t.test("a dry run gives the plan and changes nothing", async (t) => {
  const { control, commit, onDisk } = await setUp(t);
  t.equal((await commit("web", "fine", true)).steps.length, 2);
  t.equal(control.current().generation, 0);
  t.same(await onDisk("first"), []);
});

t.test("what does not verify is refused with every problem, and nothing is touched", async (t) => {
  const { control, commit, journal } = await setUp(t);
  await t.rejects(commit("web", "wrong"), {
    code: "invalid-configuration",
    problems: [{ path: "farms.web.description" }, { path: "farms.web.description" }],
  });
  t.same(journal, []);
  t.equal(control.current().generation, 0);
});

t.test("a step that fails puts back what was done before it", async (t) => {
  const { control, commit, onDisk } = await setUp(t);
  await commit("web", "fine");
  await t.rejects(commit("mail", "refuse second"), {
    code: "apply-failed",
    message: "second: write mail: the daemon says no (everything was put back)",
  });
  t.same(await onDisk("first"), ["web"]);
  t.same(await onDisk("second"), ["web"]);
  t.same(control.current().generation, 1);
  t.same((await control.history()).length, 1);
  t.equal((await commit("ftp", "fine")).generation, 2, "the way is free for the next");
});

t.test("commits take turns and each sees what the one before made", async (t) => {
  const { control, commit } = await setUp(t);
  await Promise.all(["a", "b", "c", "d"].map((name) => commit(name, "fine")));
  t.same(Object.keys(control.current().configuration.farms), ["a", "b", "c", "d"]);
  t.same(
    (await control.history()).map(({ generation }) => generation),
    [4, 3, 2, 1],
  );
});

t.test("history, diff and rollback", async (t) => {
  const { control, commit, onDisk } = await setUp(t);
  await commit("web", "one");
  await commit("mail", "two");
  t.match(await control.diff(1, 2), [{ object: "farms/mail", change: "added" }]);
  t.equal((await control.rollback(1, author)).generation, 3);
  t.same(await onDisk("second"), ["web"]);
  t.match(await control.history(), [{ generation: 3, parent: 2, message: "roll back to generation 1" }, {}, {}]);
  await t.rejects(control.rollback(9, author), { code: "not-found" });
});

t.test("reconcile mends drift, and one broken subsystem does not hold up those that do not need it", async (t) => {
  const { control, commit, onDisk, machine } = await setUp(t);
  await commit("web", "fine");
  await fs.rm(machine.path("/run/first/web"));
  await fs.writeFile(machine.path("/run/second/stray"), "left behind");
  await control.reconcile("drift");
  t.same([await onDisk("first"), await onDisk("second")], [["web"], ["web"]]);

  const journal: string[] = [];
  const broken = { ...filesOf("broken", [], journal), plan: () => Promise.reject(new Error("gone")) };
  const registry = [broken, filesOf("dependent", ["broken"], journal), filesOf("free", [], journal)];
  const other = makeControl(await openStore(machine.path("/config"), quiet), registry, machine);
  await t.rejects(other.reconcile("boot"), { message: "broken: gone; dependent: waits for broken" });
  t.same(journal, ["free write /run/free/web"]);
});

t.test("the order of subsystems is data, and circles are refused", async (t) => {
  const item = (name: string, ...dependsOn: string[]) => ({ name, dependsOn });
  t.same(
    orderByDependency([item("c", "b"), item("b", "a"), item("a")]).map(({ name }) => name),
    ["a", "b", "c"],
  );
  t.throws(() => orderByDependency([item("a", "b"), item("b", "a")]), /depends on itself/);
  t.throws(() => orderByDependency([item("a", "x")]), /not registered/);
});

t.test("whoever subscribes is told of commits and of what was refused, until it stops", async (t) => {
  const { control, commit } = await setUp(t);
  const events: ControlEvent[] = [];
  control.subscribe(() => {
    throw new Error("a listener that fails holds up nobody");
  });
  const stop = control.subscribe((event) => void events.push(event));
  await commit("web", "fine");
  await commit("web", "wrong").catch(() => undefined);
  await commit("web", "refuse first").catch(() => undefined);
  await commit("mail", "fine", true);
  t.match(events, [
    { kind: "committed", generation: 1, author: "admin", changes: [{ object: "farms/web", change: "added" }] },
    { kind: "refused", code: "invalid-configuration", author: "admin", source: "local", message: "put web" },
    { kind: "refused", code: "apply-failed", reason: /the daemon says no/ },
  ]);
  stop();
  await commit("mail", "fine");
  t.equal(events.length, 3);
});

t.test("a change made from another generation than the current one is refused", async (t) => {
  const { control, commit } = await setUp(t);
  await commit("web", "one");
  await commit("web", "two");
  const change = () => emptyConfiguration();
  await t.rejects(control.commit({ author, message: "late", change, madeFrom: 1 }), { code: "stale" });
  t.equal((await control.commit({ author, message: "in time", change, madeFrom: 2 })).generation, 3);
});
