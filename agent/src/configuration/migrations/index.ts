import { messageOf, SteelyardError } from "../../errors.ts";
import { giveAdministratorRole } from "./2-administrator-role.ts";

/** One object's file, its path being below the generation. */
export type StoredFile = { path: string; text: string };

/**
 * From the files of one version of the format to those of the next. Pure, and kept as it is for good: it knows nothing of the
 * schemas, which go on changing, and there is one directory `<to>-<name>/` with what it gets and what it gives.
 */
export type Migration = {
  /** The version it makes, one more than that of the files it is given. */
  to: number;
  name: string;
  migrate(files: readonly StoredFile[]): StoredFile[];
};

/** In order, without a gap: the first one leads from version 1 to 2. */
export const migrations: readonly Migration[] = [{ to: 2, name: "administrator-role", migrate: giveAdministratorRole }];

/** The version of the format that this system writes, and the greatest that it reads. */
export const schemaVersion = 1 + migrations.length;

/**
 * The files of a generation, or of a backup, in the format of this system, ordered by path.
 * Throws `incompatible` when a newer system wrote them, `corrupt` when they are not what their version says.
 */
export function migrateFiles(files: readonly StoredFile[], fromVersion: number): StoredFile[] {
  requireKnown(fromVersion, "the configuration");
  let migrated = [...files];
  for (const { to, name, migrate } of migrations.slice(fromVersion - 1)) {
    try {
      migrated = migrate(migrated);
    } catch (error) {
      const words = `bringing the configuration to schema version ${to} (${name}): ${messageOf(error)}`;
      throw new SteelyardError("corrupt", words, { cause: error });
    }
  }
  return migrated.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** Throws `incompatible` for a version that only a newer system knows. */
export function requireKnown(version: number, what: string): void {
  if (version <= schemaVersion) return;
  const words = `${what} has schema version ${version}, and this system knows versions up to ${schemaVersion}: a newer system wrote it`;
  throw new SteelyardError("incompatible", words);
}
