import { readTextIfExists, writeAtomically } from "./files.ts";
import type { Machine } from "./machine.ts";
import { type Slots, slotsFile } from "./route-numbers.ts";

export async function readSlots(machine: Machine): Promise<Slots> {
  const text = await readTextIfExists(machine.path(slotsFile));
  if (text === undefined) return {};
  try {
    const slots = JSON.parse(text) as Slots;
    if (Object.values(slots).every((each) => Number.isInteger(each))) return slots;
  } catch {
    // Said below.
  }
  machine.log.warn(`${slotsFile} is damaged; it is written anew`);
  return {};
}

/** Replaces the slots whose key begins with one of the prefixes; those of others stay. */
export async function writeSlots(machine: Machine, prefixes: readonly string[], slots: Slots): Promise<void> {
  const others = Object.entries(await readSlots(machine)).filter(
    ([key]) => !prefixes.some((prefix) => key.startsWith(prefix)),
  );
  const text = JSON.stringify({ ...Object.fromEntries(others), ...slots });
  await writeAtomically(machine.path(slotsFile), `${text}\n`, 0o600);
}
