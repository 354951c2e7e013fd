import { dirname } from "node:path";
import { z } from "zod";
import { isThere, readTextIfExists, removeDurably, writeAtomically } from "../adapters/files.ts";
import type { Logger } from "../adapters/machine.ts";
import type { GenerationMetadata } from "../commit/control.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { decodeConfiguration, digestFiles, encodeConfiguration } from "./codec.ts";
import { metadataShape } from "./metadata.ts";
import { migrateFiles, schemaVersion } from "./migrations/index.ts";
import type { Configuration } from "./schema.ts";

/**
 * A copy of a confirmed configuration that shares nothing with the generations: what did not change is on the disk once for all of
 * them, so one lost block can take them all, and the box with them. One file, beside `current`; read when nothing else can be.
 */
export type Rescue = {
  /** Keeps a copy: at once, or of many objects within a minute. A commit stands whether or not this works: never throws. */
  save(saved: Saved): Promise<void>;
  /** Keeps one within a minute: when an agent starts, the one before may have stopped too soon. */
  saveSoon(saved: Saved): void;
  /** Undefined when there is none. Throws `corrupt` or `incompatible`. */
  read(): Promise<Saved | undefined>;
  forget(): Promise<void>;
  /** Does without the copy that waits. */
  cancel(): void;
};

type Saved = { metadata: GenerationMetadata; configuration: Configuration; chain: string | undefined };

const copy = z.object({
  metadata: metadataShape,
  chain: z.string().optional(),
  digest: z.string(),
  files: z.record(z.string(), z.string()),
});

/** Characters; a thousand farms have six times as many, and take 20 ms to write: not every commit has to bear that. */
const small = 256 * 1024;
/** Milliseconds. */
const delay = 60_000;

export function makeRescue(path: string, log: Logger): Rescue {
  let waiting: Saved | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function write({ metadata, configuration, chain }: Saved): Promise<void> {
    const files = encodeConfiguration(configuration);
    const texts = Object.fromEntries(files.map((each) => [each.path, each.text]));
    // Read through the migrations, it is of this version now.
    const about = { ...metadata, schemaVersion };
    try {
      const text = JSON.stringify({ metadata: about, chain, digest: digestFiles(files), files: texts });
      await writeAtomically(path, text, 0o600);
    } catch (error) {
      log.warn(`${path}: the rescue copy of the configuration could not be written: ${messageOf(error)}`);
    }
  }

  function saveSoon(saved: Saved): void {
    waiting = saved;
    timer ??= setTimeout(() => void saveWaiting(), delay).unref();
  }

  async function saveWaiting(): Promise<void> {
    const saved = waiting;
    cancel();
    // The file system may be gone by now, and its directory must not come back without it.
    if (saved && (await isThere(dirname(path)))) await write(saved);
  }

  function cancel(): void {
    clearTimeout(timer);
    timer = undefined;
    waiting = undefined;
  }

  return {
    saveSoon,
    cancel,

    async save(saved) {
      const size = encodeConfiguration(saved.configuration).reduce((sum, { text }) => sum + text.length, 0);
      if (size > small) return saveSoon(saved);
      cancel();
      await write(saved);
    },

    async read() {
      const text = await readTextIfExists(path);
      if (text === undefined) return undefined;
      const parsed = copy.safeParse(parseQuietly(text));
      if (!parsed.success) throw new SteelyardError("corrupt", `${path} is damaged`);
      const { metadata, chain, digest, files: texts } = parsed.data;
      const files = Object.entries(texts).map(([name, each]) => ({ path: name, text: each }));
      if (digestFiles(files) !== digest) throw new SteelyardError("corrupt", `${path} does not match its digest`);
      return { metadata, chain, configuration: decodeConfiguration(migrateFiles(files, metadata.schemaVersion)) };
    },

    async forget() {
      cancel();
      await removeDurably(path);
    },
  };
}

function parseQuietly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
