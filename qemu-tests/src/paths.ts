import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root: two directories above this file. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export const buildDirectory = join(repository, "build");

/** Where the builder leaves the disk of a profile. */
export function imagePath(profile: string): string {
  return join(buildDirectory, "images", profile, "steelyard.qcow2");
}

/** Disks and state of one run, removed at its end. Not in /tmp, which may be memory. */
export function labDirectory(labId: string): string {
  return join(buildDirectory, "lab", labId);
}

/** Sockets of one run. In /tmp, for the path of a Unix socket has at most 107 characters (unix(7)). */
export function socketDirectory(labId: string): string {
  return join(tmpdir(), labId);
}

/** Serial consoles and journals of one run, kept. */
export function logDirectory(labId: string): string {
  return join(buildDirectory, "logs", labId);
}

export const resultFile = join(buildDirectory, "test-results", "qemu.json");
