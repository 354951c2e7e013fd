import { z } from "zod";
import { readTextIfExists, writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import { messageOf } from "../../errors.ts";
import type { ChainHead } from "./record.ts";

/**
 * Where the chain of the audit log ended, kept apart from it, on another file system: by this a log whose end was cut off, or
 * that is gone as a whole, is told from one that ends there. It is never ahead of what is on the disk.
 */
export type Anchor = {
  /** Undefined when there is none, or none that can be read. */
  read(): Promise<ChainHead | undefined>;
  write(head: ChainHead): Promise<void>;
};

const path = "/config/local/audit-head.json";
const shape = z.object({ sequence: z.int().min(1), hash: z.string().regex(/^[0-9a-f]{64}$/) });

export function makeAnchor(machine: Pick<Machine, "path" | "log">): Anchor {
  return {
    async read() {
      try {
        const text = await readTextIfExists(machine.path(path));
        return text === undefined ? undefined : shape.parse(JSON.parse(text));
      } catch (error) {
        machine.log.warn(`audit: ${path} cannot be used: ${messageOf(error)}`);
        return undefined;
      }
    },
    write: (head) => writeAtomically(machine.path(path), `${JSON.stringify(head)}\n`, 0o600),
  };
}
