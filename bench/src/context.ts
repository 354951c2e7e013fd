import type { Lab } from "../../qemu-tests/src/lab/enter.ts";
import { report } from "../../qemu-tests/src/progress.ts";
import type { Accelerator } from "../../qemu-tests/src/vm/arguments.ts";
import type { DebianDisk } from "./debian/build-debian.ts";
import type { Options } from "./options.ts";
import type { Missing } from "./results.ts";

/** What a peer needs, or why it is not there. */
export type Peer<Value> = Value | { reason: string };

export type BenchContext = {
  lab: Lab;
  options: Options;
  image: string;
  accelerator: Accelerator;
  debian: Peer<DebianDisk>;
  /** Directory with ipvsadm and its libraries, unpacked. */
  ipvsadm: Peer<{ root: string }>;
};

/** A table's worth of measurements may fail alone: what it was and why goes into the report, and the rest goes on. */
export async function attempt<Value>(
  what: string,
  missing: Missing[],
  measure: () => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await measure();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    report(`${what}: ${reason}`);
    missing.push({ what, reason });
    return undefined;
  }
}
