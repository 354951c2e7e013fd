import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import t, { type Test } from "tap";

const execute = promisify(execFile);
const script = fileURLToPath(new URL("../../initrd/factory-reset", import.meta.url));

/** A box with everything that may stand on its two disks. */
async function setUp(t: Test, wish: string) {
  const root = t.testdir({
    config: {
      generations: { 1: { "system.yaml": "a" }, 2: { farms: { "web.yaml": "b" } } },
      local: { "machine-id": "c", api: { "key.pem": "d" }, ".hidden": "e" },
      "lost+found": {},
      "factory-reset": wish,
    },
    data: {
      journal: { one: "j" },
      audit: { one: "a" },
      backups: { "lb1.age": "b" },
      history: { one: "h" },
      jobs: { "jobs.json": "[]" },
      ".new": "x",
      "lost+found": {},
      outside: {},
    },
    outside: { "a name": "stays" },
    bin: {},
  });
  const [config, data] = [join(root, "config"), join(root, "data")];
  await symlink("generations/2", join(config, "current"));
  await symlink(join(root, "outside"), join(data, "link"));
  const reset = async (path = process.env.PATH ?? "") =>
    await execute("/bin/sh", [script, config, data], { env: { PATH: path } });
  const look = async () => ({ config: await readdir(config), data: await readdir(data) });
  return { root, reset, look };
}

t.test("everything goes but what was to be kept", async (t) => {
  const { root, reset, look } = await setUp(t, "");
  await reset();
  t.same(await look(), { config: ["lost+found"], data: ["lost+found"] });
  t.same(await readdir(join(root, "outside")), ["a name"], "a link is taken away, not what it leads to");

  const kept = await setUp(t, "keep-logs\nkeep-backups\n");
  await kept.reset();
  t.same(await kept.look(), { config: ["lost+found"], data: ["audit", "backups", "journal", "lost+found"] });
  await writeFile(join(kept.root, "config/new"), "");
  await kept.reset();
  t.same((await kept.look()).config, ["lost+found", "new"], "without a wish nothing is touched");
});

t.test("cut off at any step, it begins again and comes to the same end", async (t) => {
  for (let step = 1; ; step++) {
    const { root, reset, look } = await setUp(t, "keep-logs\n");
    const count = join(root, "count");
    // A rm and a sync that count, and end everything at one step, as a power cut does.
    for (const name of ["rm", "sync"]) {
      const text = `#!/bin/sh\necho >>${count}\n[ $(wc -l <${count}) -lt ${step} ] || kill -9 $PPID\nPATH=/usr/bin:/bin exec ${name} "$@"\n`;
      await writeFile(join(root, "bin", name), text);
      await chmod(join(root, "bin", name), 0o755);
    }
    const whole = await reset(`${join(root, "bin")}:/usr/bin:/bin`).then(
      () => true,
      () => false,
    );
    if (!whole) {
      // Removing the wish is the last but one step: after it the box is as it came.
      const { config } = await look();
      if (!config.includes("factory-reset")) t.same(config, ["lost+found"], `step ${step}`);
      await reset();
    }
    t.same(await look(), { config: ["lost+found"], data: ["audit", "journal", "lost+found"] }, `cut at step ${step}`);
    await mkdir(join(root, "done"));
    if (whole) {
      t.ok(step > 10, `${step - 1} steps were cut`);
      return;
    }
  }
});
