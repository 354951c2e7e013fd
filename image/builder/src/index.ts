// What other parts of the project may ask the builder without running it.
import { join } from "node:path";
import { imageDirectory } from "./paths.ts";

export { listProfiles, type Profile, readProfile } from "./profile.ts";
export { treeDirectory as toolsTree } from "./tools-tree.ts";

/** Files that a build leaves; `raw` is sparse, `qcow2` compressed. */
export const artefacts = {
  raw: "steelyard.raw",
  qcow2: "steelyard.qcow2",
  manifest: "manifest.json",
  checksums: "SHA256SUMS",
  figures: "figures.json",
} as const;

export type Artefact = keyof typeof artefacts;

/** The path of an artefact of a profile, built or not. */
export function artefactPath(profile: string, artefact: Artefact): string {
  return join(imageDirectory(profile), artefacts[artefact]);
}
