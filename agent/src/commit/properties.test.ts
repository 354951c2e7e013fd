import { deepStrictEqual, equal } from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { type Configuration, farm } from "../configuration/schema.ts";
import { openStore } from "../configuration/store.ts";
import { SteelyardError } from "../errors.ts";
import { makeControl } from "./commit.ts";
import { filesOf } from "./testing.ts";

/** What must hold after whatever operators do, in any order: commits, refusals, restarts, changes that nobody confirms. */

const author = { user: "admin", source: "local" };
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

type Operation =
  | { do: "put"; name: string; description: string; confirm: boolean }
  | { do: "dry-put" | "stale-put"; name: string; description: string }
  | { do: "remove"; name: string }
  | { do: "rollback"; back: number }
  | { do: "confirm" | "revert" | "restart-agent" | "restart-machine" };

const name = fc.constantFrom("one", "two", "three");
/** `wrong` does not verify; the others are refused by a daemon, the second after the first has taken the change. */
const refused = ["wrong", "refuse first", "refuse second"];
const description = fc.constantFrom("", "odd", "plain", "other", ...refused);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), name, description, confirm: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("dry-put" as const, "stale-put" as const), name, description }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rollback" as const), back: fc.nat(6) }) },
  ...(["confirm", "revert", "restart-agent", "restart-machine"] as const).map((each) => ({
    weight: 2,
    arbitrary: fc.record({ do: fc.constant(each) }),
  })),
);

/** Farms by name: their descriptions. */
type Farms = Record<string, string>;
type Model = { generation: number; farms: Farms; history: Map<number, Farms>; confirmed: Farms | undefined };

const farmsOf = ({ farms }: Configuration): Farms =>
  Object.fromEntries(Object.entries(farms).map(([key, { description }]) => [key, description]));
const withFarms =
  (wanted: Farms) =>
  (current: Configuration): Configuration => ({
    ...current,
    farms: Object.fromEntries(
      Object.entries(wanted).map(([key, description]) => [
        key,
        farm.parse({ profile: "l4xnat", description, virtualAddresses: ["192.0.2.1"], ports: ["80"] }),
      ]),
    ),
  });

async function makeBox(root: string) {
  const clock = { boot: "0", seconds: 100 };
  const machine = makeMachine({
    root,
    log: quiet,
    now: () => new Date("2026-01-02T03:04:05Z"),
    bootClock: { boot: () => clock.boot, seconds: () => clock.seconds },
  });
  const registry = [filesOf("second", ["first"]), filesOf("first", [])];
  const start = async () => {
    const control = makeControl(await openStore(machine.path("/config"), quiet), registry, machine);
    await control.resume();
    await control.reconcile("start");
    return control;
  };
  const readMachine = async (subsystem: string): Promise<Farms> => {
    const directory = machine.path(`/run/${subsystem}`);
    const names = (await fs.readdir(directory).catch(() => [])).sort();
    return Object.fromEntries(
      await Promise.all(names.map(async (each) => [each, await fs.readFile(join(directory, each), "utf8")])),
    );
  };
  /** Every name and every byte of the configuration file system. */
  const digest = async () => {
    const hash = createHash("sha256");
    const entries = await fs.readdir(machine.path("/config"), { recursive: true, withFileTypes: true });
    for (const path of entries.map((each) => join(each.parentPath, each.name)).sort()) {
      const about = await fs.lstat(path);
      hash.update(`${path}\0`);
      if (about.isSymbolicLink()) hash.update(await fs.readlink(path));
      if (about.isFile()) hash.update(await fs.readFile(path));
    }
    return hash.digest("hex");
  };
  return { clock, start, readMachine, digest };
}

/** The code of the refusal that is due, or undefined: then the model has changed. */
function expect(model: Model, step: Operation): string | undefined {
  const land = (farms: Farms, confirm = false) => {
    if (same(farms, model.farms)) return;
    model.confirmed = confirm ? model.farms : undefined;
    model.generation += 1;
    model.farms = farms;
    model.history.set(model.generation, farms);
  };
  const goBack = () => {
    const farms = model.confirmed ?? {};
    model.confirmed = undefined;
    model.generation += 1;
    model.farms = farms;
    model.history.set(model.generation, farms);
  };
  const pending = model.confirmed !== undefined;
  switch (step.do) {
    case "dry-put":
      return step.description === "wrong" ? "invalid-configuration" : undefined;
    case "stale-put":
      return pending ? "awaiting-confirmation" : "stale";
    case "put": {
      if (pending) return "awaiting-confirmation";
      if (step.description === "wrong") return "invalid-configuration";
      if (refused.includes(step.description)) return "apply-failed";
      return void land({ ...model.farms, [step.name]: step.description }, step.confirm);
    }
    case "remove": {
      if (pending) return "awaiting-confirmation";
      const { [step.name]: _gone, ...rest } = model.farms;
      return void land(rest);
    }
    case "rollback":
      if (pending) return "awaiting-confirmation";
      return void land(model.history.get(Math.max(1, model.generation - step.back)) ?? {});
    case "confirm":
      if (!pending) return "not-found";
      model.confirmed = undefined;
      return undefined;
    case "revert":
      if (!pending) return "not-found";
      return void goBack();
    case "restart-agent":
      return undefined;
    case "restart-machine":
      if (pending) goBack();
      return undefined;
  }
}

function same(one: Farms, other: Farms): boolean {
  const text = (farms: Farms) => JSON.stringify(Object.entries(farms).sort());
  return text(one) === text(other);
}

t.test(
  "property: the configuration, the machine and the history are what was asked for, or what they were",
  async (t) => {
    const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    const outcomes: Record<string, number> = {};
    let restarts = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 8, maxLength: 20, size: "max" }), async (steps) => {
        const root = await fs.mkdtemp(join(base, "steelyard-"));
        try {
          const box = await makeBox(root);
          let control = await box.start();
          await control.commit({ author, message: "begin", change: withFarms({ one: "first" }) });
          const begin = { one: "first" };
          const model: Model = { generation: 1, farms: begin, history: new Map([[1, begin]]), confirmed: undefined };
          for (const step of steps) {
            const before = { digest: await box.digest(), generation: model.generation, farms: model.farms };
            const earlier = Math.max(1, model.generation - ("back" in step ? step.back : 0));
            const due = expect(model, step);
            const given = await act(step, earlier).catch((error) => {
              if (error instanceof SteelyardError) return error.code;
              throw error;
            });
            equal(given, due, JSON.stringify(step));
            outcomes[due ?? step.do] = (outcomes[due ?? step.do] ?? 0) + 1;
            const { generation, configuration } = control.current();
            equal(generation, model.generation, `after ${step.do}`);
            deepStrictEqual({ ...farmsOf(configuration) }, { ...model.farms });
            for (const subsystem of ["first", "second"])
              deepStrictEqual(
                sorted(await box.readMachine(subsystem)),
                sorted(model.farms),
                `${subsystem} after ${step.do}`,
              );
            if (due !== undefined || step.do === "dry-put")
              equal(await box.digest(), before.digest, `${step.do}, refused with ${due}, changed the disk`);
            equal(control.pending() !== undefined, model.confirmed !== undefined);
          }
          for (const [generation, farms] of model.history)
            deepStrictEqual(farmsOf(await control.read(generation)), farms);
          const checked = await control.verify();
          deepStrictEqual(
            checked.map(({ generation, problem }) => [generation, problem]),
            [...model.history.keys()].reverse().map((generation) => [generation, undefined]),
          );

          async function act(step: Operation, earlier: number): Promise<undefined> {
            const { configuration, generation } = control.current();
            const farms = farmsOf(configuration);
            const put = (options: { dryRun?: boolean; madeFrom?: number; confirmWithin?: number }) =>
              "description" in step &&
              control.commit({
                ...{ author, message: `put ${step.name}` },
                change: withFarms({ ...farms, [step.name]: step.description }),
                ...options,
              });
            if (step.do === "put") await put(step.confirm ? { confirmWithin: 5 } : {});
            if (step.do === "dry-put") await put({ dryRun: true });
            if (step.do === "stale-put") await put({ madeFrom: generation - 1 });
            if (step.do === "remove") {
              const { [step.name]: _gone, ...rest } = farms;
              await control.commit({ author, message: `remove ${step.name}`, change: withFarms(rest) });
            }
            if (step.do === "rollback") await control.rollback(earlier, author);
            if (step.do === "confirm") await control.confirm(author);
            if (step.do === "revert") await control.revert(author);
            if (step.do === "restart-machine") box.clock.boot = String(Number(box.clock.boot) + 1);
            if (!step.do.startsWith("restart-")) return;
            restarts += 1;
            control = await box.start();
          }
        } finally {
          await fs.rm(root, { recursive: true, force: true });
        }
      }),
      { numRuns: 20 },
    );
    t.comment(JSON.stringify(outcomes));
    t.ok(restarts > 10, `${restarts} restarts`);
    for (const each of ["put", "apply-failed", "invalid-configuration", "awaiting-confirmation", "rollback", "remove"])
      t.ok((outcomes[each] ?? 0) > 0, `${each} was among them`);
  },
);

function sorted(farms: Farms): [string, string][] {
  return Object.entries(farms).sort();
}
