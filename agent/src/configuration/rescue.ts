import { z } from "zod";
import { readTextIfExists, removeDurably, writeAtomically } from "../adapters/files.ts";
import type { Logger } from "../adapters/machine.ts";
import type { GenerationMetadata } from "../commit/control.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { decodeConfiguration, digestFiles, encodeConfiguration } from "./codec.ts";
import { migrateFiles, schemaVersion } from "./migrations/index.ts";
import type { Configuration } from "./schema.ts";

/**
 * A copy of a confirmed configuration that shares nothing with the generations: what did not change is on the disk once for all of
 * them, so one lost block can take them all, and the box with them. One file, beside `current`; read when nothing else can be.
 */
export type Rescue = {
  /** Keeps a copy when there is none yet, or the one there is an hour older. A commit stands whether or not this works: never throws. */
  save(saved: Saved): Promise<void>;
  /** Undefined when there is none. Throws `corrupt` or `incompatible`. */
  read(): Promise<Saved | undefined>;
  forget(): Promise<void>;
};

type Saved = { metadata: GenerationMetadata; configuration: Configuration; chain: string | undefined };

const copy = z.object({
  metadata: z.object({
    generation: z.int().min(1),
    parent: z.int().min(0),
    author: z.string(),
    source: z.string(),
    time: z.iso.datetime(),
    message: z.string(),
    schemaVersion: z.int().min(1),
  }),
  chain: z.string().optional(),
  digest: z.string(),
  files: z.record(z.string(), z.string()),
});

/** Milliseconds: with a thousand farms it takes 20 to write, which not every commit has to bear. */
const interval = 3_600_000;

export function makeRescue(path: string, log: Logger): Rescue {
  /** When the copy was committed, by its own words; undefined until this agent has written one. */
  let kept: number | undefined;

  return {
    async save({ metadata, configuration, chain }) {
      const time = Date.parse(metadata.time);
      if (kept !== undefined && time >= kept && time < kept + interval) return;
      const files = encodeConfiguration(configuration);
      const texts = Object.fromEntries(files.map((each) => [each.path, each.text]));
      // Read through the migrations, it is of this version now.
      const about = { ...metadata, schemaVersion };
      try {
        const text = JSON.stringify({ metadata: about, chain, digest: digestFiles(files), files: texts });
        await writeAtomically(path, text, 0o600);
        kept = time;
      } catch (error) {
        log.warn(`${path}: the rescue copy of the configuration could not be written: ${messageOf(error)}`);
      }
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
      await removeDurably(path);
      kept = undefined;
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
