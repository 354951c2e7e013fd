import { writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";

/** That somebody set the administrator's password at the console: told by the health of the box until the next start. */
const path = "/run/steelyard/password-reset";

export async function writeResetNotice(machine: Machine): Promise<void> {
  const words = `the password of admin was reset at the console, ${machine.now().toISOString()}`;
  await writeAtomically(machine.path(path), `${words}\n`, 0o600);
}
