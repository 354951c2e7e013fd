import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { openAudit } from "../src/access/audit/audit.ts";
import { makeMachine } from "../src/adapters/machine.ts";
import { run } from "../src/adapters/process.ts";
import { makeControl } from "../src/commit/commit.ts";
import { type Configuration, farm } from "../src/configuration/schema.ts";
import { openStore } from "../src/configuration/store.ts";
import { enterBox, until } from "./lab.ts";

/** The configuration on a small disk of its own that is really full: 256 KiB in a mount namespace that ends with the test. */
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const author = { user: "admin", source: "local" };
  const root = await fs.mkdtemp(join(tmpdir(), "steelyard-disk-"));
  const directory = join(root, "config");
  await fs.mkdir(directory);
  await run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", directory]);
  t.teardown(async () => {
    await run(["umount", directory]);
    await fs.rm(root, { recursive: true });
  });
  const machine = makeMachine({ root, log });
  const open = async () => makeControl(await openStore(directory, log), [], machine);
  const control = await open();
  const put = (name: string, most?: number) =>
    control.commit({ author, message: `put ${name}`, change: withFarm(name, most) });
  const list = async () => (await fs.readdir(directory, { recursive: true })).sort();
  const ballast = join(directory, "ballast");
  await put("web");

  await t.test("a full disk refuses a commit by name, and everything stays", async (t) => {
    // Two would do, one for the farm and one for the metadata: what stayed is linked.
    for (const spare of [0, 1]) {
      await fill(ballast, spare);
      const before = await list();
      await t.rejects(put("mail"), {
        code: "disk-full",
        message: `the disk of ${directory} is full: the configuration could not be written, and nothing was changed`,
      });
      t.same(await list(), before, `nothing is left of the unfinished one that had ${spare} pages`);
      t.match(Object.keys(control.current().configuration.farms), ["web"]);
      t.match(await (await open()).verify(), [{ generation: 1 }], "a restart finds the same");
    }
  });

  await t.test("commits work again once there is space", async (t) => {
    await fs.rm(ballast);
    t.equal((await put("mail")).generation, 2);
    const again = await open();
    t.same(Object.keys(again.current().configuration.farms).sort(), ["mail", "web"]);
    t.same(await again.verify(), [{ generation: 2 }, { generation: 1 }]);
  });

  await t.test(
    "the history gives way before it fills the disk, and what a start would fall back to stays",
    async (t) => {
      for (let farm = 3; farm <= 150; farm += 1) await put(`farm${farm % 4}-${farm}`, 4);
      await t.rejects(control.read(1), { code: "not-found" }, "the oldest went, long before there were 100");
      // What goes by its space goes in the background.
      await until("the history takes half of the disk", 10_000, async () => (await used(directory)) <= 0.55);
      const again = await open();
      const numbers = (await again.history()).map(({ generation }) => generation);
      const { generation } = control.current();
      t.ok(numbers.length > 2, `${numbers.length} generations have room`);
      t.same(numbers.slice(0, 2), [generation, generation - 1]);
      t.same(
        numbers,
        [...numbers].sort((one, other) => other - one),
      );
      t.equal((numbers[0] ?? 0) - (numbers.at(-1) ?? 0), numbers.length - 1, "the oldest go first");
      t.same(
        (await again.verify()).flatMap(({ problem }) => problem ?? []),
        [],
      );
    },
  );

  await t.test("it takes no more of the inodes either", async (t) => {
    const scarce = join(root, "scarce");
    await fs.mkdir(scarce);
    const disk = join(root, "scarce.ext4");
    await fs.writeFile(disk, "");
    await fs.truncate(disk, 8 * 1024 * 1024);
    await run(["mkfs.ext4", "-q", "-N", "128", disk]);
    await run(["mount", "-o", "loop", disk, scarce]);
    t.teardown(async () => {
      await run(["umount", scarce]);
    });
    const other = makeControl(await openStore(scarce, log), [], machine);
    for (let farm = 1; farm <= 60; farm += 1)
      await other.commit({ author, message: "put", change: withFarm(`farm${farm}`, 4) });
    t.equal(other.current().generation, 60);
    // When what goes in the background is gone.
    const verdicts = await other.verify();
    t.ok(verdicts.length < 60 && verdicts.every(({ problem }) => problem === undefined), `${verdicts.length} are left`);
  });

  await t.test("an audit log on a full disk holds nothing up, tells of what it lost, and stays whole", async (t) => {
    const place = machine.path("/data/audit");
    await fs.mkdir(place, { recursive: true });
    await run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", place]);
    try {
      const said: string[] = [];
      const say = (line: string) => void said.push(line);
      const audit = await openAudit({ ...machine, log: { info: say, warn: say, error: say } });
      const record = (message: string) =>
        audit.record({
          ...{ user: "admin", means: "local", source: "local", operation: "patchFarm", object: "farms/web" },
          ...{ result: "done", message },
        });
      await record("before");
      const filler = join(place, "ballast");
      // What fits into the page that is begun still has its place.
      await fill(filler, 0);
      for (let count = 1; count <= 40; count += 1) await record(`full ${count}`);
      const lost = audit.log.unwritten();
      t.ok(lost > 10, `${lost} records found no place`);
      t.equal(said.filter((line) => /could not be written: ENOSPC.*"full \d+"/.test(line)).length, lost);
      t.match(await audit.log.verify(), { whole: true, unwritten: lost }, "no half of a line is left");
      await fs.rm(filler);
      await record("after");
      t.match(await audit.log.verify(), { whole: true, unwritten: 0 });
      const lines: string[] = [];
      for await (const line of audit.log.lines("newest")) lines.push(line);
      t.match(
        lines.slice(0, 2).map((line) => JSON.parse(line)),
        [{ message: "after" }, { operation: "auditLost", message: `${lost} records could not be written` }],
      );
      await audit.close();
    } finally {
      await run(["umount", place]);
    }
  });
}

/** The part of the file system that is used. */
async function used(directory: string): Promise<number> {
  const { blocks, bfree } = await fs.statfs(directory);
  return (blocks - bfree) / blocks;
}

/** With one more farm, and not more than the newest of the others. */
function withFarm(name: string, most = Number.POSITIVE_INFINITY) {
  return (current: Configuration): Configuration => ({
    ...current,
    farms: {
      ...Object.fromEntries(Object.entries(current.farms).slice(-most)),
      [name]: farm.parse({ profile: "l4xnat", virtualAddresses: ["192.0.2.1"], ports: ["80"] }),
    },
  });
}

/** Fills the file system but for some pages (4 KiB). */
async function fill(path: string, spare: number): Promise<void> {
  await fs.rm(path, { force: true });
  const handle = await fs.open(path, "w");
  try {
    for (;;) await handle.write(Buffer.alloc(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
  const { size } = await handle.stat();
  await handle.truncate(size - spare * 4096);
  await handle.close();
}
