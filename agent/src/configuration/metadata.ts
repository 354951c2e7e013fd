import { createHash } from "node:crypto";
import { parse, stringify } from "yaml";
import { z } from "zod";
import type { GenerationMetadata } from "../commit/control.ts";
import { SteelyardError } from "../errors.ts";
import { readPlainYaml } from "./plain-yaml.ts";

/** `generation.yaml`: who made a generation and from what, and the hashes that reveal a change of it. Pure. */

export const metadataFile = "generation.yaml";

/** What a newer system keeps beside this is passed over. */
export const metadataShape = z.object({
  generation: z.int().min(1),
  parent: z.int().min(0),
  author: z.string(),
  source: z.string(),
  time: z.iso.datetime(),
  message: z.string(),
  schemaVersion: z.int().min(1),
});

const stored = metadataShape.extend({
  digest: z.string(),
  /** See {@link chainOf}; generations written before there was a chain have none. */
  chain: z.string().optional(),
});

export type StoredMetadata = z.output<typeof stored>;

export function encodeMetadata(metadata: GenerationMetadata, hashes: { digest: string; chain: string }): string {
  return stringify({ ...metadata, ...hashes });
}

/** Throws `corrupt` when the text is not that of this generation. */
export function decodeMetadata(text: string, generation: number): StoredMetadata {
  const refuse = (words: string) => new SteelyardError("corrupt", `generation ${generation}: ${metadataFile} ${words}`);
  const metadata = stored.safeParse(parseQuietly(text));
  if (!metadata.success) throw refuse("is damaged");
  const { data } = metadata;
  if (data.generation !== generation) throw refuse(`is that of generation ${data.generation}`);
  return data;
}

/** Undefined for what is no YAML. */
function parseQuietly(text: string): unknown {
  try {
    return readPlainYaml(text) ?? parse(text);
  } catch {
    return undefined;
  }
}

/**
 * SHA-256 over the parent's chain, the metadata and the digest of the files: who changes an old generation, its author or
 * its message has to change every one after it.
 */
export function chainOf(parent: string, metadata: GenerationMetadata, digest: string): string {
  const { generation, parent: from, author, source, time, message, schemaVersion } = metadata;
  const fields = [parent, generation, from, author, source, time, message, schemaVersion, digest];
  return createHash("sha256").update(JSON.stringify(fields)).digest("hex");
}
