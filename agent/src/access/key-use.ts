import { z } from "zod";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf } from "../errors.ts";

/** When each API key was last used: on /data, so it outlives a reboot; no part of the configuration, for a use is no change. */
const path = "/data/access/api-keys-used.json";
/** Milliseconds between two writes; a power cut loses no more. */
const writeInterval = 60_000;

const uses = z.record(z.string(), z.object({ time: z.iso.datetime(), source: z.string() }));

export type KeyUse = { time: string; source: string };

export type KeyUses = {
  note(id: string, source: string): void;
  find(id: string): KeyUse | undefined;
  /** Waits until all is written. */
  flush(): Promise<void>;
};

/** Reads what was kept; a file that cannot be read is begun anew. `isThere` says which keys still exist. */
export async function openKeyUses(
  machine: Pick<Machine, "path" | "log" | "now">,
  isThere: (id: string) => boolean,
): Promise<KeyUses> {
  const known = new Map<string, KeyUse>(Object.entries(await read()));
  let written = 0;
  let changed = false;
  let writing: Promise<void> = Promise.resolve();

  async function read(): Promise<Record<string, KeyUse>> {
    try {
      return uses.parse(JSON.parse((await readTextIfExists(machine.path(path))) ?? "{}"));
    } catch (error) {
      machine.log.warn(`API keys: ${path} cannot be used: ${messageOf(error)}`);
      return {};
    }
  }

  function write(): Promise<void> {
    if (!changed) return writing;
    changed = false;
    written = machine.now().getTime();
    for (const id of known.keys()) if (!isThere(id)) known.delete(id);
    const text = JSON.stringify(Object.fromEntries(known));
    writing = writing.then(() =>
      writeAtomically(machine.path(path), text, 0o600).catch((error) =>
        machine.log.warn(`API keys: ${path} cannot be written: ${messageOf(error)}`),
      ),
    );
    return writing;
  }

  return {
    note(id, source) {
      known.set(id, { time: machine.now().toISOString(), source });
      changed = true;
      if (machine.now().getTime() >= written + writeInterval) void write();
    },
    find: (id) => known.get(id),
    flush: write,
  };
}
