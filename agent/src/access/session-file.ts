import { z } from "zod";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { SavedSession } from "./sessions.ts";

/** On a tmpfs: sessions outlive the agent, not the box. 0600, and no token is in it, only their hashes. */
const path = "/run/steelyard/sessions.json";

const date = z.iso.datetime().transform((text) => new Date(text));
const savedSessions = z.array(
  z.object({
    digest: z.string(),
    session: z.object({
      id: z.string(),
      account: z.object({
        user: z.string(),
        source: z.enum(["local", "directory"]),
        stamp: z.string(),
        roles: z.array(z.string()).exactOptional(),
        directory: z.object({ name: z.string(), checked: z.iso.datetime() }).exactOptional(),
      }),
      means: z.enum(["session", "cookie"]),
      source: z.string(),
      opened: date,
      used: date,
    }),
  }),
);

/** The sessions of before a restart; none when there is no file or it cannot be read: then people log in again. */
export async function readSessions(machine: Pick<Machine, "path" | "log">): Promise<SavedSession[]> {
  try {
    const text = await readTextIfExists(machine.path(path));
    return text === undefined ? [] : savedSessions.parse(JSON.parse(text));
  } catch (error) {
    machine.log.warn(`sessions: ${path} cannot be used: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

/** Writes the sessions, the last state given winning over those it overtakes. */
export function makeSessionWriter(machine: Pick<Machine, "path" | "log">): (sessions: SavedSession[]) => Promise<void> {
  let wanted: SavedSession[] | undefined;
  let writing: Promise<void> = Promise.resolve();
  return (sessions) => {
    wanted = sessions;
    writing = writing.then(async () => {
      if (wanted === undefined) return;
      const text = JSON.stringify(wanted);
      wanted = undefined;
      await writeAtomically(machine.path(path), text, 0o600).catch((error) =>
        machine.log.error(`sessions: ${path} cannot be written: ${error}`),
      );
    });
    return writing;
  };
}
