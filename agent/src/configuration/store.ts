import { createHash } from "node:crypto";
import { linkSync, readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { inBatches, inTurns } from "../adapters/batches.ts";
import {
  isFull,
  isMissing,
  readTextIfExists,
  swapLink,
  syncDirectory,
  writeAtomically,
  writeDurably,
} from "../adapters/files.ts";
import type { Logger } from "../adapters/machine.ts";
import type { Damage, GenerationMetadata, GenerationRecord } from "../commit/control.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import {
  decodeConfiguration,
  digestFiles,
  encodeConfiguration,
  type KnownObjects,
  knowObjects,
  type ObjectFile,
} from "./codec.ts";
import { migrateFiles, requireKnown, type StoredFile, schemaVersion } from "./migrations/index.ts";
import { decodePending, encodePending, type PendingRecord } from "./pending.ts";
import { readPlainYaml } from "./plain-yaml.ts";
import type { Configuration } from "./schema.ts";

/**
 * The configuration file system on `/config`.
 *
 * Invariants, also after a power cut at any moment:
 * - `generations/<n>` is complete and never changes: it is written as `generations/.new-<n>`, synced, then renamed;
 * - `current` points to a complete generation: it is replaced by rename, after the sync;
 * - an unconfirmed generation is never current without `pending.yaml`; a record of another generation means nothing;
 * - a number above the one `current` names never was current, and goes away when the store is opened.
 */
export type Store = {
  /** Undefined on a box that has not had its first boot. */
  current(): Generation | undefined;
  /** Writes a generation that is not current yet. Unchanged files are hard links to the parent's. */
  write(configuration: Configuration, about: About): Promise<Generation>;
  /** Makes a written generation the current one, durably, and prunes old ones. With a record it has to be confirmed. */
  adopt(generation: Generation, pending?: PendingRecord): Promise<void>;
  /** The record of the current generation while it is not confirmed. */
  pending(): PendingRecord | undefined;
  /** Forgets the record, durably: the current generation stays. */
  settle(): Promise<void>;
  /** Takes back the first generation, durably: as if the box had never had one. */
  abandon(): Promise<void>;
  /** Takes back a written generation that did not become current. */
  discard(generation: Generation): Promise<void>;
  /**
   * An older schema version is read through the migrations, in memory: the files stay as they are. Throws `not-found`,
   * `corrupt` when its content does not match its digest, `incompatible` when a newer system wrote it.
   */
  read(generation: number): Promise<Generation>;
  /** Newest first, without those whose record cannot be read. */
  history(): Promise<GenerationRecord[]>;
  /** Reads every generation again and follows the chain: newest first, each with what is wrong with it. */
  verify(): Promise<Verdict[]>;
  /** Set when the generation that was current could not be used when the store was opened, until another is adopted. */
  damage(): Damage | undefined;
};

/** `problem` is left out when the generation is whole and follows from its parent. */
export type Verdict = { generation: number; problem?: string };

export type Generation = { metadata: GenerationMetadata; configuration: Configuration };
export type About = Omit<GenerationMetadata, "generation" | "parent" | "schemaVersion">;

/** What a newer system keeps beside this is passed over. */
const stored = z.object({
  generation: z.int().min(1),
  parent: z.int().min(0),
  author: z.string(),
  source: z.string(),
  time: z.iso.datetime(),
  message: z.string(),
  schemaVersion: z.int().min(1),
  digest: z.string(),
  /** See {@link chainOf}; generations written before there was a chain have none. */
  chain: z.string().optional(),
});

const metadataFile = "generation.yaml";

/** Opens `/config` (`directory`); keeps the newest `keep` generations. */
export async function openStore(directory: string, log: Logger, keep = 100): Promise<Store> {
  const generations = join(directory, "generations");
  const link = join(directory, "current");
  const record = join(directory, "pending.yaml");
  const at = (generation: number) => join(generations, String(generation));
  await fs.mkdir(generations, { recursive: true, mode: 0o700 });

  /** Objects of the current generation are shared, so that nothing is parsed twice and comparisons end soon. */
  const read = async (generation: number, known: KnownObjects = knowObjects(current?.configuration)) =>
    await readGeneration(at(generation), generation, known);
  /** What retention removes is out of the history at once; a thousand files take a while to go. */
  let removing: Promise<void> = Promise.resolve();

  async function prune(number: number): Promise<void> {
    const gone = join(generations, `.old-${number}`);
    await fs.rename(at(number), gone);
    removing = removing
      .then(() => fs.rm(gone, { recursive: true, force: true }))
      .catch((error) => log.warn(`removing generation ${number}: ${messageOf(error)}`));
  }
  let highest = 0;
  let damage: Damage | undefined;
  let current: Generation | undefined;
  current = await openCurrent();
  // In two lines: what opens the record may already set it.
  let pending: PendingRecord | undefined;
  pending = await openPending();

  /**
   * The generation `current` names; when that is damaged or a newer system wrote it, the newest one that can be read. The link
   * stays, so that the newer system finds its own when it is started again.
   */
  async function openCurrent(): Promise<Generation | undefined> {
    const numbers = await listNumbers(generations);
    highest = numbers[0] ?? 0;
    const named = await readLink(link);
    for (const name of await fs.readdir(generations)) {
      if (name.startsWith(".")) await fs.rm(join(generations, name), { recursive: true, force: true });
    }
    if (named === undefined) {
      // Generation 1 alone is a first boot that was cut off; more without a link means that the link was lost.
      if (highest <= 1) {
        for (const number of numbers) await fs.rm(at(number), { recursive: true, force: true });
        highest = 0;
        return undefined;
      }
      log.error(`${link} is missing; taking the newest generation that is whole`);
    }
    const newest = named ?? highest;
    for (const number of numbers.filter((each) => each > newest))
      await fs.rm(at(number), { recursive: true, force: true });
    highest = numbers.find((each) => each <= newest) ?? newest;
    for (const number of [newest, ...numbers.filter((each) => each < newest)]) {
      try {
        const found = await read(number);
        if (damage) damage.serving = number;
        return found;
      } catch (error) {
        const reason = error instanceof SteelyardError && error.code === "incompatible" ? "incompatible" : "damaged";
        const message = `generation ${number} cannot be used: ${messageOf(error)}`;
        log.error(message);
        damage ??= { generation: number, serving: 0, reason, message };
      }
    }
    throw new SteelyardError(
      "corrupt",
      `${directory}: no generation can be read; restore a backup or reset to factory state`,
    );
  }

  async function openPending(): Promise<PendingRecord | undefined> {
    const text = await readTextIfExists(record);
    if (text === undefined) return undefined;
    const { generation = 0, parent = 0, author = "", source = "", message = "", time = "" } = current?.metadata ?? {};
    const found = decodePending(text);
    if (!found && current) {
      log.error(`${record} is damaged: generation ${generation} counts as not confirmed`);
      return { generation, parent, author, source, message, time, reasons: [], boot: "", until: 0 };
    }
    if (found?.generation === generation) return found;
    // Kept for the day the generation can be read again: it was not confirmed then either.
    if (damage && found?.generation === damage.generation) return undefined;
    await settle();
    return undefined;
  }

  async function settle(): Promise<void> {
    await fs.rm(record, { force: true });
    await syncDirectory(directory);
    pending = undefined;
  }

  /** The oldest generation's parent is gone, and its own chain is where the check begins. */
  async function checkLink(generation: number): Promise<void> {
    const { digest, chain, ...metadata } = await readMetadata(at(generation), generation);
    if (chain === undefined) return;
    const parent = await readMetadata(at(metadata.parent), metadata.parent).catch(() => undefined);
    if (metadata.parent !== 0 && !parent) return;
    if (chainOf(parent?.chain ?? "", metadata, digest) !== chain)
      throw new SteelyardError(
        "corrupt",
        `generation ${generation}: it does not follow from generation ${metadata.parent}`,
      );
  }

  return {
    current: () => current,
    pending: () => pending,
    damage: () => damage,
    settle,
    read: (generation) => read(generation),

    async write(configuration, about) {
      // Its space may be what this one needs.
      await removing;
      const metadata: GenerationMetadata = {
        generation: highest + 1,
        parent: current?.metadata.generation ?? 0,
        ...about,
        schemaVersion,
      };
      const files = encodeConfiguration(configuration);
      const unfinished = join(generations, `.new-${metadata.generation}`);
      try {
        // What was migrated in memory is not what stands in the files.
        const linkable = current?.metadata.schemaVersion === schemaVersion ? current : undefined;
        const parent = linkable && { directory: at(metadata.parent), files: texts(linkable.configuration) };
        const digest = digestFiles(files);
        const before = current ? (await readMetadata(at(metadata.parent), metadata.parent)).chain : "";
        const chain = chainOf(before ?? "", metadata, digest);
        await writeTree(unfinished, files, stringify({ ...metadata, digest, chain }), parent);
        await fs.rename(unfinished, at(metadata.generation));
        await syncDirectory(generations);
      } catch (error) {
        await fs.rm(unfinished, { recursive: true, force: true });
        const words = "the configuration could not be written";
        if (isFull(error))
          throw new SteelyardError("disk-full", `the disk of ${directory} is full: ${words}, and nothing was changed`, {
            cause: error,
          });
        throw new SteelyardError("apply-failed", `${words}: ${messageOf(error)}`, { cause: error });
      }
      highest = metadata.generation;
      return { metadata, configuration };
    },

    async adopt(generation, unconfirmed) {
      if (unconfirmed) await writeAtomically(record, encodePending(unconfirmed), 0o600);
      await swapLink(link, `generations/${generation.metadata.generation}`);
      current = generation;
      damage = undefined;
      if (unconfirmed) pending = unconfirmed;
      else if (pending) await settle();
      const old = (await listNumbers(generations)).slice(keep).filter((number) => number !== pending?.parent);
      for (const number of old) await prune(number);
    },

    async abandon() {
      // Without the link generation 1 is a first boot that was cut off: from here on a power cut leaves nothing either.
      await fs.rm(link);
      await syncDirectory(directory);
      current = undefined;
      await settle();
      for (; highest > 0; highest -= 1) await fs.rm(at(highest), { recursive: true, force: true });
    },

    async discard(generation) {
      await fs.rm(at(generation.metadata.generation), { recursive: true, force: true });
      highest = generation.metadata.generation - 1;
    },

    async history() {
      const numbers = await listNumbers(generations);
      const records = numbers.map(async (number): Promise<GenerationRecord[]> => {
        try {
          const { digest, chain, ...metadata } = await readMetadata(at(number), number);
          return [{ ...metadata, compatible: metadata.schemaVersion <= schemaVersion }];
        } catch (error) {
          // One that is damaged, or was pruned meanwhile, must not hide the others; `verify` tells what is wrong with it.
          log.warn(`history without generation ${number}: ${messageOf(error)}`);
          return [];
        }
      });
      return (await Promise.all(records)).flat();
    },

    async verify() {
      const verdicts: Verdict[] = [];
      const known = knowObjects(current?.configuration);
      for (const generation of await listNumbers(generations)) {
        try {
          await read(generation, known);
          await checkLink(generation);
          verdicts.push({ generation });
        } catch (error) {
          verdicts.push({ generation, problem: messageOf(error) });
        }
      }
      return verdicts;
    },
  };
}

/**
 * SHA-256 over the parent's chain, the metadata and the digest of the files: who changes an old generation, its author or
 * its message has to change every one after it.
 */
function chainOf(parent: string, metadata: GenerationMetadata, digest: string): string {
  const { generation, parent: from, author, source, time, message, schemaVersion } = metadata;
  const fields = [parent, generation, from, author, source, time, message, schemaVersion, digest];
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}

function texts(configuration: Configuration): Map<string, string> {
  return new Map(encodeConfiguration(configuration).map(({ path, text }) => [path, text]));
}

/** Nothing in it is of use before all of it is on the disk: what waits for the disk waits together. */
async function writeTree(
  directory: string,
  files: readonly ObjectFile[],
  metadata: string,
  parent: { directory: string; files: Map<string, string> } | undefined,
): Promise<void> {
  await fs.mkdir(directory, { mode: 0o700 });
  const directories = new Set(files.map(({ path }) => dirname(path)).filter((path) => path !== "."));
  for (const path of directories) await fs.mkdir(join(directory, path), { recursive: true, mode: 0o700 });
  const [unchanged, changed]: [ObjectFile[], ObjectFile[]] = [[], []];
  for (const file of files) (parent?.files.get(file.path) === file.text ? unchanged : changed).push(file);
  await inTurns(unchanged, ({ path }) => linkSync(join(parent?.directory ?? "", path), join(directory, path)));
  await inBatches([...changed, { path: metadataFile, text: metadata, secret: false }], 64, ({ path, text, secret }) =>
    writeDurably(join(directory, path), text, secret ? 0o600 : 0o640),
  );
  const parents = new Set([...directories].map((path) => dirname(path)).filter((path) => path !== "."));
  await Promise.all([...directories, ...parents, "."].map((path) => syncDirectory(join(directory, path))));
}

/** Numbers of the generations on disk, newest first. */
async function listNumbers(generations: string): Promise<number[]> {
  const names = await fs.readdir(generations);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((one, other) => other - one);
}

async function readLink(link: string): Promise<number | undefined> {
  try {
    const match = /^generations\/(\d+)$/.exec(await fs.readlink(link));
    return match ? Number(match[1]) : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function readMetadata(directory: string, generation: number): Promise<z.output<typeof stored>> {
  let text: string;
  try {
    text = await fs.readFile(join(directory, metadataFile), "utf8");
  } catch (error) {
    if (isMissing(error)) throw new SteelyardError("not-found", `there is no generation ${generation}`);
    throw error;
  }
  const metadata = stored.safeParse(readPlainYaml(text) ?? parse(text));
  if (!metadata.success) throw new SteelyardError("corrupt", `generation ${generation}: ${metadataFile} is damaged`);
  return metadata.data;
}

async function readGeneration(directory: string, generation: number, known: KnownObjects): Promise<Generation> {
  const { digest, chain: _chain, ...metadata } = await readMetadata(directory, generation);
  requireKnown(metadata.schemaVersion, `generation ${generation}`);
  const paths = (await listYaml(directory)).filter((path) => path !== metadataFile).sort();
  const files = await readFiles(directory, paths);
  if (digestFiles(files) !== digest) {
    throw new SteelyardError(
      "corrupt",
      `generation ${generation}: the files do not match the digest written with them`,
    );
  }
  return { metadata, configuration: decodeConfiguration(migrateFiles(files, metadata.schemaVersion), known) };
}

async function readFiles(directory: string, paths: readonly string[]): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  await inTurns(paths, (path) => files.push({ path, text: readFileSync(join(directory, path), "utf8") }));
  return files;
}

/** Paths below the directory. All of them, for an older version may have had its objects elsewhere. */
async function listYaml(directory: string, below = ""): Promise<string[]> {
  const entries = await fs.readdir(join(directory, below), { withFileTypes: true });
  const found = entries.map(async (entry) => {
    const path = join(below, entry.name);
    if (entry.isDirectory()) return await listYaml(directory, path);
    return entry.name.endsWith(".yaml") ? [path] : [];
  });
  return (await Promise.all(found)).flat();
}
