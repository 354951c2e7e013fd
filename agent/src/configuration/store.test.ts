import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { parse, stringify } from "yaml";
import { user } from "../access/schema.ts";
import { digestFiles } from "./codec.ts";
import { compareConfigurations } from "./difference.ts";
import { encodePending } from "./pending.ts";
import { type Configuration, emptyConfiguration, farm, schemaVersion } from "./schema.ts";
import { openStore } from "./store.ts";

const about = { author: "admin", source: "local", time: "2026-01-02T03:04:05.000Z", message: "test" };
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

function withFarms(...names: string[]): Configuration {
  const one = (name: string) =>
    farm.parse({ profile: "l4xnat", description: name, virtualAddresses: ["192.0.2.1"], ports: ["80"] });
  return { ...emptyConfiguration(), farms: Object.fromEntries(names.map((name) => [name, one(name)])) };
}

t.test("a generation is a directory of YAML files and survives being reopened", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet);
  t.equal(store.current(), undefined);
  const first = await store.write(withFarms("web"), about);
  t.equal(store.current(), undefined, "written is not current");
  await store.adopt(first);
  const text = await fs.readFile(join(directory, "current/farms/web.yaml"), "utf8");
  t.match(text, /^profile: l4xnat\n/);
  const again = await openStore(directory, quiet);
  t.same(again.current(), first);
  t.match(await again.history(), [{ generation: 1, parent: 0, author: "admin", schemaVersion, compatible: true }]);
});

t.test("unchanged files are hard links to the generation before, secret ones are 0600", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet);
  const base = { ...withFarms("web"), users: { admin: user.parse({}) } };
  await store.adopt(await store.write(base, about));
  await store.adopt(await store.write({ ...base, farms: { ...base.farms, ...withFarms("mail").farms } }, about));
  const node = async (path: string) => await fs.stat(join(directory, "generations", path));
  t.equal((await node("1/farms/web.yaml")).ino, (await node("2/farms/web.yaml")).ino);
  t.equal((await node("2/access/users/admin.yaml")).mode & 0o777, 0o600);
  const { stdout } = await promisify(execFile)("diff", [
    "-rq",
    join(directory, "generations/1"),
    join(directory, "generations/2"),
  ]).catch((error) => error);
  t.same(
    stdout.split("\n").filter((line: string) => line.startsWith("Only")).length,
    1,
    "diff -r shows the one new file",
  );
});

t.test("a power cut leaves the old generation or the new one", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet);
  await store.adopt(await store.write(withFarms("web"), about));
  await store.write(withFarms("web", "mail"), about); // the lights go out before it is current
  await fs.mkdir(join(directory, "generations/.new-3/farms"), { recursive: true }); // and while a third is being written
  const again = await openStore(directory, quiet);
  t.equal(again.current()?.metadata.generation, 1);
  t.same((await fs.readdir(join(directory, "generations"))).sort(), ["1"]);
  const next = await again.write(withFarms("web", "ftp"), about);
  t.equal(next.metadata.generation, 2, "the number of what never was current is free");
  await again.adopt(next);
  t.equal((await openStore(directory, quiet)).current()?.metadata.generation, 2);
});

t.test(
  "a power cut between the record of an unconfirmed generation and its link leaves the one before, confirmed",
  async (t) => {
    const directory = t.testdir();
    const store = await openStore(directory, quiet);
    await store.adopt(await store.write(withFarms("web"), about));
    await store.write(withFarms("web", "mail"), about);
    const { time, ...rest } = about;
    const record = { generation: 2, parent: 1, ...rest, time, reasons: [], boot: "first", until: 400 };
    await fs.writeFile(join(directory, "pending.yaml"), encodePending(record)); // and here the lights go out
    const again = await openStore(directory, quiet);
    t.equal(again.current()?.metadata.generation, 1);
    t.equal(again.pending(), undefined);
    t.notOk((await fs.readdir(directory)).includes("pending.yaml"), "a record of nothing is taken away");
  },
);

t.test("a damaged generation is noticed, and the newest whole one before it is used", async (t) => {
  const directory = t.testdir();
  const errors: string[] = [];
  const log = { ...quiet, error: (message: string) => void errors.push(message) };
  const store = await openStore(directory, log);
  await store.adopt(await store.write(withFarms("web"), about));
  await store.adopt(await store.write(withFarms("web", "mail"), about));
  const victim = join(directory, "generations/2/farms/mail.yaml");
  await fs.writeFile(victim, (await fs.readFile(victim, "utf8")).replace("192.0.2.1", "192.0.2.9"));
  const again = await openStore(directory, log);
  t.equal(again.current()?.metadata.generation, 1);
  t.match(errors, [/generation 2 cannot be used: .*do not match the digest/]);
  await t.rejects(again.read(2), { code: "corrupt" });
  await t.rejects(again.read(7), { code: "not-found" });
  const next = await again.write(withFarms("ftp"), about);
  t.equal(next.metadata.generation, 3, "the damaged one is kept as evidence and its number is not used again");
  await fs.rm(join(directory, "current"));
  t.equal(
    (await openStore(directory, log)).current()?.metadata.generation,
    3,
    "a lost link falls back to the newest whole one",
  );
});

t.test("a record that cannot be read hides no other one from the history", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet);
  for (const name of ["a", "b", "c"]) await store.adopt(await store.write(withFarms(name), about));
  await fs.writeFile(join(directory, "generations/2/generation.yaml"), "generation: [");
  t.same(
    (await store.history()).map(({ generation }) => generation),
    [3, 1],
  );
  t.match(await store.verify(), [{ generation: 3 }, { generation: 2, problem: /.+/ }, { generation: 1 }]);
});

t.test("old generations are pruned, a discarded one frees its number", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet, 3);
  for (const name of ["a", "b", "c", "d", "e"]) await store.adopt(await store.write(withFarms(name), about));
  t.same(
    (await store.history()).map(({ generation }) => generation),
    [5, 4, 3],
  );
  await store.discard(await store.write(withFarms("f"), about));
  t.equal((await store.write(withFarms("g"), about)).metadata.generation, 6);
});

t.test("the configuration says how many are kept, and what it may come back to stays", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet);
  const keeping = (generations: number, name: string): Configuration => {
    const { system, ...rest } = withFarms(name);
    return { ...rest, system: { ...system, history: { generations, diskShare: 50 } } };
  };
  const numbers = async () => (await store.history()).map(({ generation }) => generation);
  for (const name of ["a", "b", "c", "d"]) await store.adopt(await store.write(keeping(4, name), about));
  t.same(await numbers(), [4, 3, 2, 1]);
  const { time, ...rest } = about;
  const fifth = await store.write(keeping(2, "e"), about);
  await store.adopt(fifth, { generation: 5, parent: 2, ...rest, time, reasons: [], boot: "first", until: 400 });
  t.same(await numbers(), [5, 4, 2], "the one that comes back unless this is confirmed is kept beside");
  await store.settle();
  await store.adopt(await store.write(keeping(2, "f"), about));
  t.same(await numbers(), [6, 5]);
  await store.write(withFarms("g"), about);
  t.same((await fs.readdir(join(directory, "generations"))).sort(), ["5", "6", "7"], "their files are gone as well");
});

t.test("differences name the object and hide secrets", async (t) => {
  const hash = (end: string) => `$7$CU..../....saltsalt$${"a".repeat(42)}${end}`;
  const withHash = (end: string) => user.parse({ passwordHash: hash(end) });
  const before = { ...withFarms("web"), users: { admin: withHash("a") } };
  const after = { ...withFarms("mail"), users: { admin: withHash("b") } };
  const differences = compareConfigurations(before, after);
  t.same(
    differences.map(({ object, change }) => [object, change]),
    [
      ["farms/mail", "added"],
      ["farms/web", "removed"],
      ["access/users/admin", "changed"],
    ],
  );
  t.notMatch(JSON.stringify(differences), /aaaaaa/);
  t.match(differences[2]?.text, /\+passwordHash: \(hidden, changed\)/);
  t.same(compareConfigurations(after, after), []);
});

t.test("a chain of hashes reveals whose words or files were altered", async (t) => {
  const directory = t.testdir();
  const store = await openStore(directory, quiet);
  for (const name of ["a", "b", "c"]) await store.adopt(await store.write(withFarms(name), about));
  t.same(await store.verify(), [{ generation: 3 }, { generation: 2 }, { generation: 1 }]);
  const metadata = join(directory, "generations/2/generation.yaml");
  await fs.writeFile(metadata, (await fs.readFile(metadata, "utf8")).replace("author: admin", "author: nobody"));
  t.match(await store.verify(), [
    { generation: 3 },
    { generation: 2, problem: /does not follow from generation 1/ },
    { generation: 1 },
  ]);
  t.equal(store.damage(), undefined);
  await fs.appendFile(join(directory, "generations/3/farms/c.yaml"), "#");
  const again = await openStore(directory, quiet);
  t.match(again.damage(), { generation: 3, serving: 2, message: /do not match the digest/ });
});

t.test("the chain reveals what was taken away, put in another's place, or written anew with its hashes", async (t) => {
  const directory = t.testdir();
  const at = (path: string) => join(directory, "generations", path);
  const store = await openStore(directory, quiet);
  for (const name of ["a", "b", "c", "d", "e"]) await store.adopt(await store.write(withFarms(name), about));
  const problemOf = async (generation: number, opened = store) =>
    (await opened.verify()).find((each) => each.generation === generation)?.problem;

  await fs.rename(at("3"), join(directory, "aside"));
  t.match(await problemOf(4), /generation 3, which it was made from, was taken away/);
  await fs.cp(at("2"), at("3"), { recursive: true });
  t.match(await problemOf(3), /generation.yaml is that of generation 2/);
  await fs.rm(at("3/generation.yaml"));
  t.match(await problemOf(3), /generation.yaml is missing/);
  await t.rejects(store.read(3), { code: "corrupt" });
  await fs.rm(at("3"), { recursive: true });
  await fs.rename(join(directory, "aside"), at("3"));
  t.equal(await problemOf(3), undefined);

  // The oldest may go: retention takes them from there.
  await fs.rm(at("1"), { recursive: true });
  t.ok((await store.verify()).every(({ problem }) => problem === undefined));

  // Whoever writes the newest anew, hashes and all, leaves a chain that is sound; the running agent knows its own.
  const newest = at("5/generation.yaml");
  const whole = await fs.readFile(newest, "utf8");
  const forger = await openStore(t.testdir(), quiet);
  for (const name of ["a", "b", "c", "d", "e"])
    await forger.adopt(await forger.write(withFarms(name), name === "e" ? { ...about, author: "eve" } : about));
  await fs.writeFile(newest, await fs.readFile(join(t.testdirName, "generations/5/generation.yaml"), "utf8"));
  t.match(await problemOf(5), /not the one that this agent has written or read/);
  await fs.writeFile(newest, whole.replace(/^chain: .*\n/m, ""));
  t.match(await problemOf(5, await openStore(directory, quiet)), /its hash was taken away/);
});

t.test("what was altered or taken away on the disk is not carried into the next generation", async (t) => {
  const directory = t.testdir();
  const errors: string[] = [];
  const log = { ...quiet, error: (message: string) => void errors.push(message) };
  const first = await openStore(directory, log);
  await first.adopt(await first.write(withFarms("a", "b", "c"), about));
  for (const open of [async () => first, () => openStore(directory, log)]) {
    const store = await open();
    const number = store.current()?.metadata.generation ?? 0;
    const at = (name: string) => join(directory, `generations/${number}/farms/${name}.yaml`);
    await fs.writeFile(at("a"), (await fs.readFile(at("a"), "utf8")).replace("192.0.2.1", "192.0.2.9"));
    await fs.rm(at("b"));
    errors.length = 0;
    const next = await store.write(withFarms("a", "b", "c", `new${number}`), about);
    t.match(errors.sort(), [
      /^farms\/a\.yaml of generation \d was altered on the disk: it is written anew/,
      /^farms\/b/,
    ]);
    await store.adopt(next);
    t.same((await store.verify()).map(({ problem }) => problem === undefined)[0], true);
    t.equal((await fs.stat(join(directory, `current/farms/c.yaml`))).nlink, number + 1, "all else is linked as ever");
  }
  t.equal((await openStore(directory, quiet)).current()?.metadata.generation, 3, "a start finds it whole");
});

t.test(
  "when what all generations share is lost, a copy that shares nothing serves, and the next commit keeps it",
  async (t) => {
    const directory = t.testdir();
    const errors: string[] = [];
    const log = { ...quiet, error: (message: string) => void errors.push(message) };
    const at = (path: string) => join(directory, path);
    const base = { ...withFarms("a"), users: { admin: user.parse({ roles: ["admin"] }) } };
    const later = (minutes: number) => ({
      ...about,
      time: new Date(Date.parse(about.time) + minutes * 60_000).toISOString(),
    });
    const store = await openStore(directory, log);
    await store.adopt(await store.write(base, about));
    t.equal((await fs.stat(at("rescue.json"))).mode & 0o777, 0o600, "it has the secrets too");
    const kept = async () => JSON.parse(await fs.readFile(at("rescue.json"), "utf8")).metadata.generation;
    await store.adopt(await store.write({ ...base, ...{ farms: withFarms("a", "b").farms } }, later(59)));
    t.equal(await kept(), 2);
    const { time } = later(61);
    const third = await store.write({ ...base, ...{ farms: withFarms("a", "b", "c").farms } }, later(61));
    await store.adopt(third, { generation: 3, parent: 2, ...about, time, reasons: [], boot: "first", until: 400 });
    t.equal(await kept(), 2, "not of what may go back");
    await store.settle();
    t.equal(await kept(), 3);

    // One block of a file that is on the disk once.
    await fs.appendFile(at("generations/1/access/users/admin.yaml"), "#");
    const again = await openStore(directory, log);
    t.match(again.current(), { metadata: { generation: 3 }, configuration: third.configuration });
    t.match(again.damage(), {
      generation: 3,
      serving: 3,
      reason: "damaged",
      message: /digest.*; the rescue copy of .* serves/,
    });
    t.match(errors.at(-1), /serving the rescue copy of generation 3, committed at .*: what came after it is lost/);
    await again.adopt(await again.write({ ...base, farms: withFarms("d").farms }, later(90)));
    t.equal(again.damage(), undefined);
    t.match((await again.verify())[0], { generation: 4, problem: undefined }, "made of nothing that is damaged");
    t.match((await openStore(directory, quiet)).current(), { metadata: { generation: 4, parent: 3 } });

    await fs.rm(at("generations"), { recursive: true });
    await fs.rm(at("current"));
    t.match(
      (await openStore(directory, quiet)).current(),
      { metadata: { generation: 4 } },
      "what was taken away is no first boot",
    );
    await fs.writeFile(at("rescue.json"), "{}");
    await t.rejects(openStore(directory, quiet), { code: "corrupt", message: /no generation can be read/ });
  },
);

/** Makes a generation one that a system of another version wrote: other metadata, and other files with their digest. */
async function rewrite(directory: string, generation: number, change: object, files: Record<string, string> = {}) {
  const tree = join(directory, "generations", String(generation));
  for (const [path, text] of Object.entries(files)) {
    await fs.rm(join(tree, path), { force: true }); // it may be a link to that of another generation
    await fs.writeFile(join(tree, path), text);
  }
  const paths = (await fs.readdir(tree, { recursive: true })).filter((path) => path.endsWith(".yaml")).sort();
  const objects = paths.filter((path) => path !== "generation.yaml");
  const texts = objects.map(async (path) => ({ path, text: await fs.readFile(join(tree, path), "utf8") }));
  const metadata = parse(await fs.readFile(join(tree, "generation.yaml"), "utf8"));
  const { chain, ...rest } = { ...metadata, digest: digestFiles(await Promise.all(texts)), ...change };
  await fs.writeFile(join(tree, "generation.yaml"), stringify(rest));
}

t.test(
  "a generation of an older version is migrated when it is read, and written anew by the next commit",
  async (t) => {
    const directory = t.testdir();
    const before = await openStore(directory, quiet);
    await before.adopt(await before.write({ ...withFarms("web"), users: { admin: user.parse({}) } }, about));
    const path = "access/users/admin.yaml";
    await rewrite(directory, 1, { schemaVersion: 1 }, { [path]: "sshKeys: []\n" });
    const store = await openStore(directory, quiet);
    t.equal(store.damage(), undefined);
    const old = store.current();
    t.match(old, { metadata: { schemaVersion: 1 }, configuration: { users: { admin: { roles: ["admin"] } } } });
    t.equal(await fs.readFile(join(directory, "generations/1", path), "utf8"), "sshKeys: []\n", "as it was written");
    const configuration = { ...(old?.configuration as Configuration), farms: withFarms("web", "mail").farms };
    await store.adopt(await store.write(configuration, about));
    t.match(await fs.readFile(join(directory, "generations/2", path), "utf8"), /roles:\n {2}- admin/);
    const again = await openStore(directory, quiet);
    t.match(again.current(), { metadata: { generation: 2, schemaVersion }, configuration });
    t.same(await again.verify(), [{ generation: 2 }, { generation: 1 }]);
    t.match((await again.read(1)).configuration.users, { admin: { roles: ["admin"] } }, "to go back to and to compare");
    t.same(compareConfigurations((await again.read(1)).configuration, (await again.read(2)).configuration).length, 1);
  },
);

t.test("a generation of a newer system is refused, and the newest one this system knows is used", async (t) => {
  const directory = t.testdir();
  const errors: string[] = [];
  const log = { ...quiet, error: (message: string) => void errors.push(message) };
  const before = await openStore(directory, quiet);
  for (const names of [["a"], ["b"], ["c"]]) await before.adopt(await before.write(withFarms(...names), about));
  await rewrite(directory, 3, { schemaVersion: 99, region: "eu" }, { "farms/c.yaml": "shape: unheard-of\n" });
  const { time, ...rest } = about;
  const record = { generation: 3, parent: 2, ...rest, time, reasons: [], boot: "first", until: 400 };
  await fs.writeFile(join(directory, "pending.yaml"), encodePending(record));
  const store = await openStore(directory, log);
  t.equal(store.current()?.metadata.generation, 2);
  const words = `generation 3 has schema version 99, and this system knows versions up to ${schemaVersion}`;
  t.match(store.damage(), { generation: 3, serving: 2, reason: "incompatible", message: new RegExp(words) });
  t.match(errors, [new RegExp(words)]);
  t.match(await store.history(), [
    { generation: 3, schemaVersion: 99, compatible: false },
    { generation: 2, schemaVersion, compatible: true },
    { generation: 1, compatible: true },
  ]);
  await t.rejects(store.read(3), { code: "incompatible" });
  t.match(await store.verify(), [{ generation: 3, problem: /newer system/ }, {}, {}]);
  t.equal(await fs.readlink(join(directory, "current")), "generations/3", "for the newer system, started again");
  t.equal(store.pending(), undefined);
  t.ok((await fs.readdir(directory)).includes("pending.yaml"), "which still finds it unconfirmed");
  await store.adopt(await store.write(withFarms("d"), about));
  t.equal(store.current()?.metadata.generation, 4);
  t.equal(store.damage(), undefined, "mended by a commit");
  const after = await openStore(directory, log);
  t.match(
    [after.current()?.metadata, after.pending(), after.damage()],
    [{ generation: 4, parent: 2 }, undefined, undefined],
  );
  t.notOk((await fs.readdir(directory)).includes("pending.yaml"));
});
