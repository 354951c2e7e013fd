import { existsSync } from "node:fs";
import { join } from "node:path";
import { toolsTree } from "../../../image/builder/src/index.ts";
import { type Command, runCommand } from "../run-command.ts";

export type Emulator = {
  /** What to write before QEMU's arguments. Each program in it becomes the next, so the process that is started is QEMU. */
  command: Command;
  version: string;
  /** Where its firmware stands: "/" or the tools tree. */
  root: string;
};

const program = "qemu-system-x86_64";

let found: Promise<Emulator> | undefined;

/**
 * The QEMU that runs the machines: the host's own when several processors can be emulated with it, else the one of the tools tree,
 * which is Debian 13's. An old one of the host is better than none.
 */
export function findEmulator(): Promise<Emulator> {
  found ??= chooseEmulator();
  return found;
}

async function chooseEmulator(): Promise<Emulator> {
  const host = await describeEmulator([program], "/").catch(() => undefined);
  if (host && emulatesSeveral(host.version)) return host;
  const tree = await toolsTree();
  if (existsSync(join(tree, "usr/bin", program))) return describeEmulator(emulatorOfTree(tree), tree);
  if (host) return host;
  throw new Error('there is no QEMU: run "make tools", which brings one');
}

async function describeEmulator(command: Command, root: string): Promise<Emulator> {
  const { stdout } = await runCommand([...command, "--version"]);
  const version = /version (\d+\.\d+\S*)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${command.join(" ")} tells no version: ${stdout.slice(0, 200)}`);
  return { command, version, root };
}

/**
 * Whether a QEMU of this version emulates several processors faithfully. Before 8.1, one may still run the breakpoint by which Linux
 * patches its own code after another has removed it, and the kernel reports `Oops: int3` (QEMU commits cb62bd15 and deba7870
 * mended it).
 */
export function emulatesSeveral(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 8 || (major === 8 && minor >= 1);
}

/** QEMU looks for its modules and its firmware at the paths it was built with, which are the host's. */
export function emulatorOfTree(tree: string): Command {
  const modules = `QEMU_MODULE_DIR=${join(tree, "usr/lib/x86_64-linux-gnu/qemu")}`;
  const data = ["usr/share/qemu", "usr/share/seabios"].flatMap((directory) => ["-L", join(tree, directory)]);
  return ["env", modules, ...programOfTree(tree, program), ...data];
}

/**
 * Runs a program of the tree as a process of the host, with the libraries of the tree by its own loader (ld.so(8)). No chroot: the
 * program sees the host's files, namespaces and devices.
 */
function programOfTree(tree: string, name: string): Command {
  const libraries = join(tree, "usr/lib/x86_64-linux-gnu");
  const loader = join(libraries, "ld-linux-x86-64.so.2");
  return [loader, "--inhibit-cache", "--library-path", libraries, join(tree, "usr/bin", name)];
}

/** A tool for disk images, from where the images were made with it. */
export async function imageTool(name: "qemu-img" | "qemu-io" = "qemu-img"): Promise<Command> {
  const tree = await toolsTree();
  return existsSync(join(tree, "usr/bin", name)) ? programOfTree(tree, name) : [name];
}

/** Where distributions keep OVMF: Debian, Fedora, Arch. Code and variables belong together. */
const firmwares = [
  ["usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"],
  ["usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"],
  ["usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"],
] as const;

/** UEFI firmware: beside the emulator, else in the tools tree, else of the host. */
export async function findFirmware(): Promise<{ code: string; variables: string }> {
  const { root } = await findEmulator();
  for (const place of [root, await toolsTree(), "/"])
    for (const [code, variables] of firmwares) {
      const pair = { code: join(place, code), variables: join(place, variables) };
      if (existsSync(pair.code) && existsSync(pair.variables)) return pair;
    }
  throw new Error('there is no UEFI firmware: run "make tools", which brings one');
}
