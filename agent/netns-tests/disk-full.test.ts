import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
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
