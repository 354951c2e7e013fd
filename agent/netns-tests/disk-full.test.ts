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
import { enterBox } from "./lab.ts";

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
  const put = (name: string) => control.commit({ author, message: `put ${name}`, change: withFarm(name) });
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

  await t.test("a disk that fills up by commits refuses the one that has no place", async (t) => {
    let landed = 2;
    await t.rejects(
      async () => {
        for (; landed < 500; landed += 1) await put(`farm${landed}`);
      },
      { code: "disk-full" },
    );
    t.ok(landed > 2, `${landed} generations fit`);
    t.equal(control.current().generation, landed);
    t.match((await (await open()).verify())[0], { generation: landed, problem: undefined });
  });
}

function withFarm(name: string) {
  return (current: Configuration): Configuration => ({
    ...current,
    farms: {
      ...current.farms,
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
