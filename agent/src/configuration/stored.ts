import { join } from "node:path";
import { isThere, readTextIfExists } from "../adapters/files.ts";
import { readTree } from "../adapters/linked-tree.ts";
import { SteelyardError } from "../errors.ts";
import { decodeConfiguration, digestFiles, type KnownObjects } from "./codec.ts";
import { decodeMetadata, metadataFile, type StoredMetadata } from "./metadata.ts";
import { migrateFiles, requireKnown } from "./migrations/index.ts";
import type { Generation } from "./store.ts";

/** A generation as it stands in its directory. */

/** Throws `not-found`, or `corrupt`. */
export async function readMetadata(directory: string, generation: number): Promise<StoredMetadata> {
  const text = await readTextIfExists(join(directory, metadataFile));
  if (text !== undefined) return decodeMetadata(text, generation);
  if (!(await isThere(directory))) throw new SteelyardError("not-found", `there is no generation ${generation}`);
  throw new SteelyardError("corrupt", `generation ${generation}: ${metadataFile} is missing`);
}

/** A generation with the hashes that stand beside it. */
export type Stored = { generation: Generation; digest: string; chain: string | undefined };

/**
 * Objects of `known` are shared. Throws `not-found`, `corrupt` when the content does not match its digest, `incompatible` when a newer
 * system wrote it.
 */
export async function readStored(directory: string, generation: number, known: KnownObjects): Promise<Stored> {
  const { digest, chain, ...metadata } = await readMetadata(directory, generation);
  requireKnown(metadata.schemaVersion, `generation ${generation}`);
  // All of them, for an older version may have had its objects elsewhere.
  const files = await readTree(directory, (path) => path.endsWith(".yaml") && path !== metadataFile);
  if (digestFiles(files) !== digest) {
    throw new SteelyardError(
      "corrupt",
      `generation ${generation}: the files do not match the digest written with them`,
    );
  }
  const configuration = decodeConfiguration(migrateFiles(files, metadata.schemaVersion), known);
  return { generation: { metadata, configuration }, digest, chain };
}
