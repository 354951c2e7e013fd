import { isFull, removeDurably, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf, SteelyardError } from "../errors.ts";

/**
 * The factory state is made by the initrd, before anything reads /config: image/initrd/factory-reset. All that is done here is
 * to ask for it with a file that goes last, so that a power cut in the middle only means that it begins again.
 */
export const markerPath = "/config/factory-reset";

/** What may stay on /data. */
export const keepable = ["logs", "backups"] as const;
export type Keepable = (typeof keepable)[number];

export async function askForReset(machine: Pick<Machine, "path">, keep: readonly Keepable[]): Promise<void> {
  const text = keep.map((each) => `keep-${each}\n`).join("");
  await writeAtomically(machine.path(markerPath), text, 0o600).catch((error: unknown) => {
    if (!isFull(error)) throw error;
    throw new SteelyardError("disk-full", "the disk of /config has no room to ask for the reset", { cause: error });
  });
}

export async function takeBackReset(machine: Pick<Machine, "path">): Promise<void> {
  await removeDurably(machine.path(markerPath));
}

/** Starts the box again. When that is not to be had, nothing is left to happen at some later start. Never throws. */
export async function restartForReset(machine: Pick<Machine, "path" | "run" | "log">): Promise<void> {
  try {
    await machine.run(["systemctl", "--no-ask-password", "--no-block", "reboot"]);
  } catch (error) {
    machine.log.error(`factory reset: the box cannot be started again, and stays as it is: ${messageOf(error)}`);
    await takeBackReset(machine).catch((each) => machine.log.error(`factory reset: ${messageOf(each)}`));
  }
}
