import { type ArchiveLimits, readArchive } from "../adapters/archive.ts";
import { type PackedFile, packArchive } from "../adapters/pack.ts";
import type { GenerationRecord } from "../commit/control.ts";
import { decodeConfiguration, digestFiles, encodeConfiguration } from "../configuration/codec.ts";
import { migrateFiles, type StoredFile, schemaVersion } from "../configuration/migrations/index.ts";
import type { Configuration } from "../configuration/schema.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { decrypt, encrypt, type Key, type Lock } from "./encryption.ts";
import { type BackupNic, type Manifest, manifest } from "./schema.ts";

/**
 * What stands in a backup, once it is decrypted: a `.tar.gz` with `manifest.json`, `configuration/` as a generation has it
 * (one YAML file per object, with its secrets), `identity/` (`api/` and `ssh/` of /config/local) and `history/<n>/`.
 */

/** Of the archive; a change that an older system would misread makes it greater. */
const format = 1;

/**
 * Whoever has the key has made it, so these are wide: a box of many objects has a file for each in every generation. The older
 * generations are for people to look things up, and are passed over.
 */
const limits: ArchiveLimits = {
  size: 256 * 1024 * 1024,
  fileSize: 32 * 1024 * 1024,
  entries: 1_000_000,
  wanted: (path) => !path.startsWith("history/"),
};

/** Bytes that a configuration takes in the archive, where a file has a header and ends with a block (pax(1), ustar). */
export function sizeInArchive(configuration: Configuration): number {
  const block = 512;
  const sizes = encodeConfiguration(configuration).map(({ text }) => Buffer.byteLength(text));
  return sizes.reduce((sum, size) => sum + block + Math.ceil(size / block) * block, 0);
}

/** A file that belongs to this box and no other: its path below /config/local. */
export type IdentityFile = { path: string; content: Buffer; mode: number };

export type BackupSource = {
  version: string;
  time: Date;
  generation: number;
  configuration: Configuration;
  nics: readonly BackupNic[];
  identity: readonly IdentityFile[];
  history: readonly { record: GenerationRecord; configuration: Configuration }[];
};

export type Backup = { manifest: Manifest; configuration: Configuration; identity: IdentityFile[] };

export function describeBackup(source: BackupSource): Manifest {
  const { version, time, generation, configuration, nics, identity, history } = source;
  return {
    product: "steelyard",
    format,
    version,
    schemaVersion,
    hostname: configuration.system.hostname,
    time: time.toISOString(),
    generation,
    digest: digestFiles(encodeConfiguration(configuration)),
    identity: identity.length > 0,
    history: history.length,
    nics: [...nics],
  };
}

/** The file, encrypted. */
export async function writeBackup(
  source: BackupSource,
  lock: Lock,
  randomBytes: (size: number) => Buffer,
): Promise<Buffer> {
  const text = (path: string, content: string): PackedFile => ({ path, content: Buffer.from(content), mode: 0o600 });
  const files: PackedFile[] = [
    text("manifest.json", `${JSON.stringify(describeBackup(source), null, 2)}\n`),
    ...encodeConfiguration(source.configuration).map((each) => text(`configuration/${each.path}`, each.text)),
    ...source.identity.map(({ path, content, mode }) => ({ path: `identity/${path}`, content, mode })),
    ...source.history.flatMap(({ record, configuration }) => {
      const directory = `history/${record.generation}`;
      return [
        text(`${directory}/generation.json`, `${JSON.stringify(record, null, 2)}\n`),
        ...encodeConfiguration(configuration).map((each) => text(`${directory}/${each.path}`, each.text)),
      ];
    }),
  ];
  return await encrypt(await packArchive(files, source.time), lock, randomBytes);
}

/**
 * Throws `bad-backup` for a file that is no whole backup, `bad-input` for the wrong key, and `incompatible` when a newer system
 * made it. The configuration is that of this system's schema, through the migrations.
 */
export async function readBackup(data: Buffer, key: Key): Promise<Backup> {
  const { files } = await readArchive(await decrypt(data, key), limits).catch((error: unknown) => {
    if (error instanceof SteelyardError && error.code === "bad-backup") throw error;
    if (error instanceof SteelyardError && error.problems.length > 0) throw error;
    throw notOurs(messageOf(error), error);
  });
  const about = readManifest(files.get("manifest.json"));
  const stored = listBelow(files, "configuration/").map(
    ([path, content]): StoredFile => ({ path, text: content.toString("utf8") }),
  );
  stored.sort((one, other) => (one.path < other.path ? -1 : 1));
  if (digestFiles(stored) !== about.digest) throw notOurs("its configuration is not what its manifest says");
  return { manifest: about, configuration: readConfiguration(stored, about), identity: readIdentity(files) };
}

function readManifest(content: Buffer | undefined): Manifest {
  let raw: unknown;
  try {
    raw = JSON.parse(content?.toString("utf8") ?? "");
  } catch (error) {
    throw notOurs("it has no manifest.json", error);
  }
  const { product, format: found, version } = (raw ?? {}) as Record<string, unknown>;
  if (product !== "steelyard") throw notOurs("its manifest names another product");
  if (typeof found === "number" && found > format)
    throw new SteelyardError(
      "incompatible",
      `the backup has format ${found}, and this system knows format ${format}: Steelyard ${String(version).slice(0, 64)} made it`,
    );
  const parsed = manifest.safeParse(raw);
  if (!parsed.success) throw notOurs("its manifest is not in order", parsed.error);
  return parsed.data;
}

function readConfiguration(stored: readonly StoredFile[], { schemaVersion: of, version }: Manifest): Configuration {
  if (of > schemaVersion)
    throw new SteelyardError(
      "incompatible",
      `the backup has schema version ${of}, and this system knows versions up to ${schemaVersion}: Steelyard ${version} made it`,
    );
  try {
    return decodeConfiguration(migrateFiles(stored, of));
  } catch (error) {
    throw notOurs(`its configuration cannot be read: ${messageOf(error)}`, error);
  }
}

/** Names as the box makes them, so that nothing else is ever written beside them. */
const identityPath = /^(?:api|ssh)\/[a-z0-9_]+(?:\.pem|\.pub)?$/;

function readIdentity(files: ReadonlyMap<string, Buffer>): IdentityFile[] {
  return listBelow(files, "identity/").map(([path, content]) => {
    if (!identityPath.test(path)) throw notOurs(`it has a file identity/${path.slice(0, 80)}`);
    return { path, content, mode: modeOf(path) };
  });
}

/** Public halves are for all to read; everything else is a key. */
export function modeOf(path: string): number {
  return path.endsWith(".pub") || path.endsWith("/certificate.pem") ? 0o644 : 0o600;
}

function listBelow(files: ReadonlyMap<string, Buffer>, directory: string): [string, Buffer][] {
  return [...files]
    .filter(([path]) => path.startsWith(directory))
    .map(([path, content]) => [path.slice(directory.length), content]);
}

function notOurs(words: string, cause?: unknown): SteelyardError {
  return new SteelyardError("bad-backup", `this is no backup of Steelyard: ${words}`, { cause });
}
