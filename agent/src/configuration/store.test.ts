import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { user } from "../access/schema.ts";
import { compareConfigurations } from "./difference.ts";
import { encodePending } from "./pending.ts";
import { type Configuration, emptyConfiguration, farm } from "./schema.ts";
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
  t.match(await again.history(), [{ generation: 1, parent: 0, author: "admin", schemaVersion: 1 }]);
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
