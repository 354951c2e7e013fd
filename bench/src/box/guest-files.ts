import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { VirtualMachine } from "../../../qemu-tests/src/vm/virtual-machine.ts";

/** Where the bench keeps its own in the guest: memory, gone with the next boot. */
export const guestDirectory = "/run/bench";

/** An argument of execve may have 128 KiB (MAX_ARG_STRLEN). */
const chunkSize = 90_000;

/** Writes a file in the guest over the test channel. */
export async function writeGuestFile(
  machine: VirtualMachine,
  path: string,
  content: string | Buffer,
  mode = "0600",
): Promise<void> {
  const text = Buffer.from(content).toString("base64");
  await machine.run(["/bin/sh", "-c", 'mkdir -p "$1" && : > "$2" && chmod "$3" "$2"', "-", dirname(path), path, mode]);
  for (let at = 0; at < text.length; at += chunkSize) {
    const chunk = text.slice(at, at + chunkSize);
    await machine.run(["/bin/sh", "-c", 'printf %s "$1" | base64 -d >> "$2"', "-", chunk, path]);
  }
}

export async function copyToGuest(machine: VirtualMachine, from: string, to: string, mode: string): Promise<void> {
  await writeGuestFile(machine, to, await readFile(from), mode);
}

/**
 * Runs a command of the guest several times and gives the seconds each took, by the guest's own clock: the way over the test
 * channel is not in it. `before` and `after` are not measured.
 */
export async function timeInGuest(
  machine: VirtualMachine,
  command: readonly string[],
  rounds: number,
  around: { before?: string; after?: string } = {},
): Promise<number[]> {
  const script = `
rounds=$1; shift
for round in $(seq "$rounds"); do
  ${around.before ?? ":"}
  begin=\${EPOCHREALTIME/[^0-9]/}
  "$@" > ${guestDirectory}/output 2>&1 || { echo "exit status $?: $(tail -c 300 ${guestDirectory}/output)" >&2; exit 1; }
  end=\${EPOCHREALTIME/[^0-9]/}
  echo $((end - begin))
  ${around.after ?? ":"}
done`;
  await machine.run(["mkdir", "-p", guestDirectory]);
  // A command that talks to the agent at hundreds of farms takes half a minute on a busy host without KVM.
  const timeout = machine.scale(10_000) * Math.max(2, rounds);
  const { stdout } = await machine.run(["/bin/bash", "-c", script, "-", String(rounds), ...command], { timeout });
  return stdout
    .trim()
    .split("\n")
    .map((line) => Number(line) / 1e6);
}
