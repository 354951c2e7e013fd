import { readFile } from "node:fs/promises";
import { release } from "node:os";
import { runCommand } from "../../qemu-tests/src/run-command.ts";
import { chooseProcessors } from "../../qemu-tests/src/vm/accelerator.ts";
import type { Accelerator } from "../../qemu-tests/src/vm/arguments.ts";
import { findEmulator } from "../../qemu-tests/src/vm/emulator.ts";

/** What the figures were measured on. */
export type MachineDescription = {
  processor: string;
  cores: number;
  memoryMegabytes: number;
  kernel: string;
  accelerator: Accelerator;
  qemu: string;
  /** What the guests of the lab get. */
  guest: { processors: number; memoryMegabytes: number };
  date: string;
  commit: string;
};

export async function describeMachine(accelerator: Accelerator): Promise<MachineDescription> {
  const [processors, memory, { version }] = await Promise.all([
    readFile("/proc/cpuinfo", "utf8"),
    readFile("/proc/meminfo", "utf8"),
    findEmulator(),
  ]);
  return {
    ...parseProcessors(processors),
    memoryMegabytes: Math.round(parseMemory(memory, "MemTotal") / 1024),
    kernel: release(),
    accelerator,
    qemu: version,
    guest: { processors: await chooseProcessors(accelerator), memoryMegabytes: 1024 },
    date: timestamp(),
    commit: await describeCommit(),
  };
}

export function parseProcessors(text: string): { processor: string; cores: number } {
  const names = [...text.matchAll(/^model name\s*:\s*(.*)$/gm)].map(([, name]) => name ?? "");
  return { processor: names[0] ?? "unknown", cores: (text.match(/^processor\s*:/gm) ?? []).length };
}

/** A line of /proc/meminfo, /proc/PID/status or smaps_rollup, in KiB. Throws when it is not there. */
export function parseMemory(text: string, name: string): number {
  const value = new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(text)?.[1];
  if (value === undefined) throw new Error(`no line ${name} in: ${text.slice(0, 200)}`);
  return Number(value);
}

/** The commit, and whether files differ from it. */
export async function describeCommit(): Promise<string> {
  const { stdout } = await runCommand(["git", "rev-parse", "--short=12", "HEAD"], { accept: [0, 128] });
  const changed = await runCommand(["git", "status", "--porcelain", "--untracked-files=no"], { accept: [0, 128] });
  return `${stdout.trim() || "unknown"}${changed.stdout.trim() === "" ? "" : " with changes"}`;
}

/** `2026-01-31 12:34 UTC`. */
export function timestamp(now = new Date()): string {
  return `${now.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
