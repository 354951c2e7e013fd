import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildDirectory } from "../paths.ts";
import type { Accelerator } from "./arguments.ts";
import { emulatesSeveral, findEmulator } from "./emulator.ts";

/** How much longer everything takes in emulation. One number for all timeouts. */
const emulationFactor = 6;

/** Milliseconds a thing may take, from what it may take under KVM. */
export function scaleTimeout(accelerator: Accelerator, milliseconds: number): number {
  return accelerator === "kvm" ? milliseconds : milliseconds * emulationFactor;
}

/** How many processors a guest gets: two, where QEMU runs two faithfully. */
export async function chooseProcessors(accelerator: Accelerator): Promise<number> {
  if (accelerator === "kvm") return 2;
  return emulatesSeveral((await findEmulator()).version) ? 2 : 1;
}

/**
 * Decides by booting: /dev/kvm may exist and still not run a kernel. The image's own boot loader and kernel run for up to
 * ten seconds on a throw-away disk; KVM is good when the kernel has spoken on the serial port and two seconds later
 * QEMU still runs it. The verdict is kept until the machine boots again. `STEELYARD_ACCEL=tcg` or `kvm` overrules it.
 */
export async function chooseAccelerator(image: string): Promise<Accelerator> {
  const told = process.env.STEELYARD_ACCEL;
  if (told === "kvm" || told === "tcg") return told;
  if (!existsSync("/dev/kvm")) return "tcg";
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const note = join(buildDirectory, "lab", "accelerator");
  const [notedBoot, noted] = (await readFile(note, "utf8").catch(() => "")).split(" ");
  if (notedBoot === bootId && (noted === "kvm" || noted === "tcg")) return noted;
  const verdict = (await bootsUnderKvm(image)) ? "kvm" : "tcg";
  await mkdir(join(buildDirectory, "lab"), { recursive: true });
  await writeFile(note, `${bootId} ${verdict}`);
  return verdict;
}

async function bootsUnderKvm(image: string): Promise<boolean> {
  const arguments_ = [
    ...[
      "-accel",
      "kvm",
      "-cpu",
      "host",
      "-machine",
      "q35",
      "-m",
      "512",
      "-nodefaults",
      "-display",
      "none",
      "-vga",
      "std",
    ],
    ...["-drive", `if=virtio,file=${image},format=qcow2,snapshot=on`, "-serial", "stdio"],
    // An emulation failure then ends QEMU instead of leaving a stopped machine.
    ...["-action", "panic=shutdown", "-no-reboot"],
  ];
  const [file, ...words] = (await findEmulator()).command;
  const qemu = spawn(file, [...words, ...arguments_], { stdio: ["ignore", "pipe", "pipe"] });
  let serial = "";
  let complaint = "";
  qemu.stdout.on("data", (chunk: Buffer) => {
    serial += chunk.toString("latin1");
  });
  qemu.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString("latin1");
  });
  return await new Promise<boolean>((resolve) => {
    let spokenAt: number | undefined;
    const finish = (verdict: boolean) => {
      clearInterval(timer);
      clearTimeout(deadline);
      qemu.kill("SIGKILL");
      resolve(verdict);
    };
    const timer = setInterval(() => {
      if (/internal error|emulation failure/i.test(complaint)) return finish(false);
      if (/Linux version|systemd\[1\]/.test(serial)) spokenAt ??= Date.now();
      if (spokenAt !== undefined && Date.now() - spokenAt > 2_000) finish(true);
    }, 100);
    const deadline = setTimeout(() => finish(false), 10_000);
    qemu.once("exit", () => finish(false));
    qemu.once("error", () => finish(false));
  });
}
