import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isMissing, readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf, SteelyardError } from "../errors.ts";

/**
 * What became of requests with an `Idempotency-Key`, one file each in /run/steelyard/idempotency (mode 0600): memory that
 * outlives the agent and not the box. A restart of the agent in the middle of a request is exactly when its client asks
 * again; a reboot forgets the keys, and then a repeated create is refused because the name is taken.
 */
const directory = "/run/steelyard/idempotency";
const lifetime = 24 * 3_600_000;
/** Bytes of all answers together. */
const bounds = { number: 1000, bytes: 8 * 1024 * 1024 };

const answer = z.strictObject({ status: z.int(), headers: z.record(z.string(), z.string()), body: z.string() });
const record = z.strictObject({
  /** Of the request: the key must not be used for another one. */
  digest: z.string(),
  /** Milliseconds since 1970. */
  begun: z.number(),
  /** Missing while the request is under way, or when the agent was restarted meanwhile. */
  answer: answer.optional(),
});

export type StoredAnswer = z.output<typeof answer>;
type Entry = z.output<typeof record> & { bytes: number; running: boolean };

export type IdempotencyStore = {
  /**
   * Claims an id for a request; undefined: go ahead, otherwise the answer it had. Throws `key-reused` when the request is
   * another one, `key-in-use` while the first is under way or when nobody knows what became of it.
   */
  claim(id: string, digest: string): Promise<StoredAnswer | undefined>;
  keep(id: string, answer: StoredAnswer): Promise<void>;
  /** The request came to nothing: the same key may try again. */
  release(id: string): Promise<void>;
};

export async function openIdempotencyStore(
  machine: Machine,
  { number, bytes: most } = bounds,
): Promise<IdempotencyStore> {
  const at = (id: string) => join(machine.path(directory), `${id}.json`);
  const entries = new Map<string, Entry>();
  const time = () => machine.now().getTime();

  for (const [id, entry] of await readEntries(machine)) entries.set(id, entry);

  async function forget(id: string): Promise<void> {
    entries.delete(id);
    await rm(at(id), { force: true }).catch((error) => machine.log.warn(`idempotency: ${messageOf(error)}`));
  }

  /** Old ones, then the oldest, until there is room. Those under way stay. */
  async function makeRoom(): Promise<void> {
    let bytes = [...entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [id, entry] of entries) {
      const old = time() - entry.begun > lifetime;
      if (entry.running || (!old && entries.size <= number && bytes < most)) continue;
      bytes -= entry.bytes;
      await forget(id);
    }
  }

  async function write(id: string, { digest, begun, answer }: Entry): Promise<void> {
    try {
      await writeAtomically(at(id), JSON.stringify({ digest, begun, answer }), 0o600);
    } catch (error) {
      // Without the file the key still holds as long as the agent runs.
      machine.log.warn(`idempotency: ${messageOf(error)}`);
    }
  }

  return {
    async claim(id, digest) {
      const known = entries.get(id);
      if (known && (known.running || time() - known.begun <= lifetime)) {
        if (known.digest !== digest)
          throw new SteelyardError("key-reused", "the Idempotency-Key was used for another request: make a new one");
        if (known.answer) return known.answer;
        const words = known.running
          ? "a request with this Idempotency-Key is under way: try again in a moment"
          : "the agent was restarted during the request with this Idempotency-Key: look what became of it, and use a new key";
        throw new SteelyardError("key-in-use", words);
      }
      const entry = { digest, begun: time(), bytes: 0, running: true };
      entries.delete(id);
      entries.set(id, entry);
      await makeRoom();
      await write(id, entry);
      return undefined;
    },
    async keep(id, answer) {
      const entry = entries.get(id);
      if (!entry) return;
      Object.assign(entry, { answer, running: false, bytes: answer.body.length });
      await write(id, entry);
    },
    release: forget,
  };
}

/** Oldest first. A file that is damaged is removed. */
async function readEntries(machine: Machine): Promise<[string, Entry][]> {
  const names = await readdir(machine.path(directory)).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const found: [string, Entry][] = [];
  for (const name of names) {
    const path = join(machine.path(directory), name);
    const parsed = record.safeParse(parseJson((await readTextIfExists(path)) ?? ""));
    if (name.endsWith(".json") && parsed.success) {
      const bytes = parsed.data.answer?.body.length ?? 0;
      found.push([name.slice(0, -".json".length), { ...parsed.data, bytes, running: false }]);
    } else await rm(path, { force: true });
  }
  return found.sort(([, one], [, other]) => one.begun - other.begun);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
