import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { toolsTree } from "../../../image/builder/src/index.ts";
import { runCommand } from "../run-command.ts";
import { waitFor } from "../wait.ts";
import { emulatesSeveral, emulatorOfTree } from "./emulator.ts";

const tree = await toolsTree();
const skip = existsSync(tree) ? false : "there is no tools tree on this machine yet";

t.test("several processors are emulated faithfully since QEMU 8.1", async (t) => {
  for (const version of ["7.2.22", "8.0.5", "6.2.0"]) t.notOk(emulatesSeveral(version), version);
  for (const version of ["8.1.0", "8.10", "9.0.0", "10.0.13"]) t.ok(emulatesSeveral(version), version);
});

t.test("QEMU of the tools tree runs on this machine and emulates several processors", { skip }, async (t) => {
  const command = emulatorOfTree(tree);
  const { stdout: version } = await runCommand([...command, "--version"]);
  t.ok(emulatesSeveral(/version (\S+)/.exec(version)?.[1] ?? ""), version);
  const { stdout: accelerators } = await runCommand([...command, "-accel", "help"]);
  t.match(accelerators, /^tcg$/m);
});

t.test("the process started is QEMU itself, so ending it cuts the power", { skip }, async (t) => {
  const note = join(t.testdir({}), "pid");
  const [file, ...words] = emulatorOfTree(tree);
  const qemu = spawn(file, [...words, "-machine", "none", "-nodefaults", "-display", "none", "-S", "-pidfile", note]);
  const noted = await waitFor("QEMU's process id", () => readFile(note, "utf8"), { timeout: 20_000, interval: 50 });
  t.equal(Number(noted), qemu.pid);
  const ended = once(qemu, "exit");
  qemu.kill("SIGKILL");
  t.match(await ended, [null, "SIGKILL"]);
});
