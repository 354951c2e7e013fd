import { createHash } from "node:crypto";
import { user } from "../src/access/schema.ts";
import { makeMachine } from "../src/adapters/machine.ts";
import { makeControl } from "../src/commit/commit.ts";
import { digestFiles, encodeConfiguration } from "../src/configuration/codec.ts";
import { type Configuration, emptyConfiguration, farm } from "../src/configuration/schema.ts";
import { openStore, type Store } from "../src/configuration/store.ts";
import { makeRandom, type Random } from "./random.ts";
import type { Mark } from "./recorder.ts";

/** What the store holds: enough to tell two generations apart, and a damaged one from a whole one. */
export type State = {
  generation: number;
  digest: string;
  /** Whether the generation awaits its confirmation. */
  pending: boolean;
};

/** The states before the first step and after each. */
export type Course = State[];

/** Fewer than the load makes, so that old generations are pruned all the while. */
export const kept = 10;

const author = { user: "admin", source: "local" };
const about = { author: "admin", source: "local", time: "2026-01-02T03:04:05.000Z", message: "never current" };
/** scrypt of nothing in particular, for a secret file. */
const passwordHash = `$7$CU..../....abcdefghijklmnopqrstuv$${"x".repeat(43)}`;
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

export function describeState(store: Store): State {
  const current = store.current();
  if (!current) return { generation: 0, digest: "", pending: false };
  const { metadata, configuration } = current;
  const digest = digestFiles(encodeConfiguration(configuration));
  return { generation: metadata.generation, digest, pending: store.pending() !== undefined };
}

/** Commits of all kinds, by the real pipeline on the real configuration file system; marks say when each begins and is done. */
export async function commitMixedLoad(directory: string, mark: Mark, steps: number, seed: number): Promise<Course> {
  const random = makeRandom(seed);
  const store = await openStore(directory, quiet, kept);
  const control = makeControl(store, [], makeMachine({ log: quiet }));
  const commit = async (change: (configuration: Configuration) => Configuration, confirmWithin = 0) => {
    await control.commit({ author, message: "load", change, confirmWithin });
  };
  const rollBack = async () => {
    const { generation } = random.pick(await control.history());
    await control.rollback(generation, author, { confirmWithin: 0 });
  };
  const course: Course = [describeState(store)];
  for (let step = 1; step <= steps; step++) {
    await mark(`begun ${step}`);
    const current = store.current();
    const dice = random.below(100);
    if (!current) await commit(() => firstConfiguration(random));
    else if (control.pending()) await (dice < 50 ? control.confirm(author) : control.revert(author));
    else if (dice < 70) await commit((before) => changeFarms(before, random, dice < 50 ? 1 : 5));
    else if (dice < 80) await commit((before) => changeFarms(before, random, 1), 5);
    else if (dice < 90) await rollBack();
    // A commit whose apply failed.
    else await store.discard(await store.write(changeFarms(current.configuration, random, 2), about));
    await mark(`done ${step}`);
    course.push(describeState(store));
  }
  return course;
}

function firstConfiguration(random: Random): Configuration {
  const admin = user.parse({ passwordHash });
  return changeFarms({ ...emptyConfiguration(), users: { admin } }, random, 6);
}

/** Adds, changes and deletes so many farms. Some are longer than a block of the disk. */
function changeFarms(before: Configuration, random: Random, count: number): Configuration {
  const farms = { ...before.farms };
  for (let change = 0; change < count; change++) {
    const names = Object.keys(farms);
    if (names.length > 6 && random.chance(0.4)) delete farms[random.pick(names)];
    else {
      const name = names.length > 3 && random.chance(0.5) ? random.pick(names) : `farm-${random.below(10_000)}`;
      farms[name] = makeFarm(random);
    }
  }
  return { ...before, farms };
}

function makeFarm(random: Random): Configuration["farms"][string] {
  const backends = Array.from({ length: random.pick([0, 2, 2, 4, 4, 60]) }, (_, at) => [
    `b${at}`,
    { address: `10.0.${at}.${random.below(250) + 1}`, weight: random.below(100) + 1 },
  ]);
  return farm.parse({
    profile: "l4xnat",
    description: createHash("sha256")
      .update(String(random.below(2 ** 31)))
      .digest("hex"),
    virtualAddresses: [`192.0.2.${random.below(250) + 1}`],
    ports: [String(random.below(60_000) + 1)],
    backends: Object.fromEntries(backends),
  });
}
