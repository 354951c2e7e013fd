/** What became of each thing found in a backup. */

/**
 * `taken`: means the same here. `changed`: taken, but not as it was; the notes say what and why.
 * `not-supported`: not taken; the notes say why, and `later` which subsystem will bring it.
 */
export type Result = "taken" | "changed" | "not-supported";

export type Item = {
  /** Such as `interface`, `virtual interface`, `l4xnat farm`, `certificate`. */
  kind: string;
  /** Its name in the backup. */
  name: string;
  /** The file it was found in, as the backup names it. */
  source: string;
  result: Result;
  /** Where it stands now: `farms.web`, a path in the configuration. */
  target?: string;
  notes: string[];
  /** The subsystem that will be able to take it. */
  later?: string;
  /**
   * What it holds, for whoever sets it up by hand until then. No keys or password hashes; but the command of a health check
   * may carry a password, so the report goes to whoever brought the backup and into no log.
   */
  content?: Record<string, unknown>;
};

/** Subsystems that are not there yet, as the report names them. */
export const later = {
  http: "HTTP farms",
  gslb: "GSLB",
  health: "FarmGuardian (health checks)",
  certificates: "certificates",
  protection: "IPDS",
  cluster: "cluster",
  notifications: "notifications",
  persistence: "persistence of L4 farms",
  helpers: "helpers of L4 farms",
} as const;

/** `taken` until there is something to say about it. */
export function takenOrChanged(notes: readonly string[]): Result {
  return notes.length === 0 ? "taken" : "changed";
}
