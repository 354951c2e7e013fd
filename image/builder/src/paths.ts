import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root: three directories above this file. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");

export const build = join(repository, "build");
export const image = join(repository, "image");

/** Where the repository stands inside the tools tree, whatever its path outside: caches and logs do not depend on the checkout. */
export const inside = "/steelyard";

export function imageDirectory(profile: string): string {
  return join(build, "images", profile);
}

/** A path of the repository as the tools inside the tree see it. */
export function pathInside(path: string): string {
  return join(inside, relative(repository, path));
}
