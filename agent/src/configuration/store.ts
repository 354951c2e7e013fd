import * as fs from "node:fs/promises";
import { join } from "node:path";
import {
  isFull,
  isThere,
  readLink,
  readTextIfExists,
  removeDurably,
  swapLink,
  syncDirectory,
  writeAtomically,
} from "../adapters/files.ts";
import { type Stamps, stampFiles, writeTree } from "../adapters/linked-tree.ts";
import type { Logger } from "../adapters/machine.ts";
import type { Damage, GenerationMetadata, GenerationRecord } from "../commit/control.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { digestFiles, encodeConfiguration, type KnownObjects, knowObjects } from "./codec.ts";
import { chainOf, encodeMetadata, metadataFile } from "./metadata.ts";
import { schemaVersion } from "./migrations/index.ts";
import { decodePending, encodePending, type PendingRecord } from "./pending.ts";
import { makeRescue } from "./rescue.ts";
import { makeRetention } from "./retention.ts";
import type { Configuration } from "./schema.ts";
import { readMetadata, readStored, type Stored } from "./stored.ts";

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
  /** Ends what goes on in the background: before the file system goes. */
  close(): Promise<void>;
};

/** `problem` is left out when the generation is whole and follows from its parent. */
export type Verdict = { generation: number; problem?: string };

export type Generation = { metadata: GenerationMetadata; configuration: Configuration };
export type About = Omit<GenerationMetadata, "generation" | "parent" | "schemaVersion">;

/** Opens `/config` (`directory`). How many generations it keeps is what the current one says under `system.history`, or `keep`. */
export async function openStore(directory: string, log: Logger, keep?: number): Promise<Store> {
  const generations = join(directory, "generations");
  const link = join(directory, "current");
  const record = join(directory, "pending.yaml");
  const copyPath = join(directory, "rescue.json");
  const at = (generation: number) => join(generations, String(generation));
  const rescue = makeRescue(copyPath, log);
  await fs.mkdir(generations, { recursive: true, mode: 0o700 });

  /** Objects of the current generation are shared, so that nothing is parsed twice and comparisons end soon. */
  const read = async (generation: number, known: KnownObjects = knowObjects(current?.configuration)) =>
    await readStored(at(generation), generation, known);
  /** The chain of what was written or found current since the agent runs: who alters that on the disk cannot alter it here. */
  const chains = new Map<number, string | undefined>();
  /**
   * Of the files as they were read or written, so that no altered one is linked into the next generation. There are none of a
   * configuration that came from the rescue copy, for no generation on the disk has it.
   */
  const stamps = new WeakMap<Generation, Stamps>();
  let highest = 0;
  let damage: Damage | undefined;
  let current: Generation | undefined;
  current = await openCurrent();
  // In two lines: what opens the record may already set it.
  let pending: PendingRecord | undefined;
  pending = await openPending();
  // One of a generation that is damaged now is worth more than what serves in its place.
  if (current && !pending && !damage) rescue.saveSoon({ ...current, chain: chains.get(current.metadata.generation) });
  const retention = makeRetention({
    generations,
    list: () => listNumbers(generations),
    remove: async (number) => {
      await fs.rename(at(number), join(generations, `.old-${number}`));
      chains.delete(number);
    },
    sweep: () => sweep(/^\.old-/),
    log,
  });

  /**
   * The generation `current` names; when that is damaged or a newer system wrote it, the newest one that can be read. The link
   * stays, so that the newer system finds its own when it is started again.
   */
  async function openCurrent(): Promise<Generation | undefined> {
    const numbers = await listNumbers(generations);
    highest = numbers[0] ?? 0;
    const named = Number(/^generations\/(\d+)$/.exec((await readLink(link)) ?? "")?.[1] ?? 0) || undefined;
    await sweep(/^\./);
    if (named === undefined) {
      // Generation 1 alone is a first boot that was cut off; more without a link, or a copy, means that it was lost.
      if (highest <= 1 && !(await isThere(copyPath))) {
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
        const { generation, chain } = await read(number);
        chains.set(number, chain);
        stamps.set(generation, stampFiles(at(number), encodeConfiguration(generation.configuration)));
        if (damage) damage.serving = number;
        return generation;
      } catch (error) {
        const reason = error instanceof SteelyardError && error.code === "incompatible" ? "incompatible" : "damaged";
        const message = `generation ${number} cannot be used: ${messageOf(error)}`;
        log.error(message);
        damage ??= { generation: number, serving: 0, reason, message };
      }
    }
    return await openCopy();
  }

  /** When no generation can be read. */
  async function openCopy(): Promise<Generation> {
    const saved = await rescue.read().catch((error) => void log.error(`the rescue copy: ${messageOf(error)}`));
    if (!saved) {
      const advice = damage?.reason === "incompatible" ? "start the newer system again, or reset" : "reset";
      throw new SteelyardError("corrupt", `${directory}: no generation can be read; ${advice} to factory state`);
    }
    const { chain, ...generation } = saved;
    const { generation: number, time } = generation.metadata;
    log.error(`serving the rescue copy of generation ${number}, committed at ${time}: what came after it is lost`);
    const message = `${damage?.message}; the rescue copy of ${time} serves, and the next commit keeps it`;
    damage = { generation: number, reason: "damaged", ...damage, serving: number, message };
    chains.set(number, chain);
    highest = Math.max(highest, number);
    return generation;
  }

  async function sweep(names: RegExp): Promise<void> {
    for (const name of await fs.readdir(generations))
      if (names.test(name)) await fs.rm(join(generations, name), { recursive: true, force: true });
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
    await removeDurably(record);
    pending = undefined;
  }

  /** Nothing that may go back is worth a copy. */
  async function saveCopy(): Promise<void> {
    if (!current || pending) return;
    await rescue.save({ ...current, chain: chains.get(current.metadata.generation) });
  }

  /** As this agent knows it; on the disk it may be damaged. */
  async function findChain(generation: number): Promise<string | undefined> {
    if (generation === 0 || chains.has(generation)) return chains.get(generation);
    return (await readMetadata(at(generation), generation)).chain;
  }

  /** The parent of the oldest generation is gone, and its own chain is where the check begins. */
  async function checkLink({ generation: { metadata }, digest, chain }: Stored): Promise<void> {
    const { generation, parent: number } = metadata;
    const refuse = (words: string) => new SteelyardError("corrupt", `generation ${generation}: ${words}`);
    const own = chains.get(generation);
    if (own !== undefined && own !== chain) throw refuse("it is not the one that this agent has written or read");
    const parent = number === 0 ? undefined : await readMetadata(at(number), number).catch(() => undefined);
    if (number > 0 && !parent) {
      // Looked up anew, for retention may be at work.
      const oldest = (await listNumbers(generations)).at(-1) ?? 0;
      if (number < oldest || (await isThere(at(number)))) return;
      throw refuse(`generation ${number}, which it was made from, was taken away`);
    }
    if (chain === undefined) {
      if (parent?.chain !== undefined) throw refuse("its hash was taken away");
      return;
    }
    if (chainOf(parent?.chain ?? "", metadata, digest) !== chain)
      throw refuse(`it does not follow from generation ${number}`);
  }

  return {
    current: () => current,
    pending: () => pending,
    damage: () => damage,
    async close() {
      rescue.cancel();
      await retention.settled();
    },
    async settle() {
      await settle();
      await saveCopy();
    },
    read: async (generation) => (await read(generation)).generation,

    async write(configuration, about) {
      // Its space may be what this one needs.
      await retention.settled();
      const metadata: GenerationMetadata = {
        generation: highest + 1,
        parent: current?.metadata.generation ?? 0,
        ...about,
        schemaVersion,
      };
      const files = encodeConfiguration(configuration);
      const unfinished = join(generations, `.new-${metadata.generation}`);
      try {
        // What was migrated in memory is not what stands in the files, nor is what came from the copy.
        const linkable = current?.metadata.schemaVersion === schemaVersion ? current : undefined;
        const known = linkable && stamps.get(linkable);
        const parent = known && {
          directory: at(metadata.parent),
          files: texts(linkable.configuration),
          stamps: known,
        };
        const digest = digestFiles(files);
        const before = await findChain(metadata.parent);
        const chain = chainOf(before ?? "", metadata, digest);
        const own = { path: metadataFile, text: encodeMetadata(metadata, { digest, chain }), secret: false };
        const written = await writeTree(unfinished, files, own, parent);
        for (const path of written.altered)
          log.error(`${path} of generation ${metadata.parent} was altered on the disk: it is written anew`);
        await fs.rename(unfinished, at(metadata.generation));
        await syncDirectory(generations);
        highest = metadata.generation;
        chains.set(highest, chain);
        const generation = { metadata, configuration };
        stamps.set(generation, written.stamps);
        return generation;
      } catch (error) {
        await fs.rm(unfinished, { recursive: true, force: true });
        const words = "the configuration could not be written";
        if (isFull(error))
          throw new SteelyardError("disk-full", `the disk of ${directory} is full: ${words}, and nothing was changed`, {
            cause: error,
          });
        throw new SteelyardError("apply-failed", `${words}: ${messageOf(error)}`, { cause: error });
      }
    },

    async adopt(generation, unconfirmed) {
      if (unconfirmed) await writeAtomically(record, encodePending(unconfirmed), 0o600);
      await swapLink(link, `generations/${generation.metadata.generation}`);
      current = generation;
      damage = undefined;
      if (unconfirmed) pending = unconfirmed;
      else if (pending) await settle();
      const { generations: count, diskShare } = generation.configuration.system.history;
      // What a start would fall back to, and what may come back.
      const stays = [generation.metadata.generation, pending?.parent ?? 0];
      await saveCopy();
      await retention.prune({ count: keep ?? count, diskShare, stays });
    },

    async abandon() {
      await rescue.forget();
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
      await retention.settled();
      const verdicts: Verdict[] = [];
      const known = knowObjects(current?.configuration);
      for (const generation of await listNumbers(generations)) {
        try {
          await checkLink(await read(generation, known));
          verdicts.push({ generation });
        } catch (error) {
          // Retention may have taken it meanwhile.
          if (await isThere(at(generation))) verdicts.push({ generation, problem: messageOf(error) });
        }
      }
      return verdicts;
    },
  };
}

function texts(configuration: Configuration): Map<string, string> {
  return new Map(encodeConfiguration(configuration).map(({ path, text }) => [path, text]));
}

/** Numbers of the generations on disk, newest first. */
async function listNumbers(generations: string): Promise<number[]> {
  const names = await fs.readdir(generations);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((one, other) => other - one);
}
