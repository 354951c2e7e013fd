import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BuildError } from "./errors.ts";
import { hashInputs } from "./hash.ts";
import { buildImage, fileSize, isCurrent, writeChecksums } from "./image.ts";
import { imageDirectory, inside, repository } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { runTool } from "./run-tool.ts";
import { ensureTools, enterTools } from "./tools-tree.ts";

/** Kinds of media: a recipe under recipes/ and the file it makes. A further kind is a recipe and a line here. */
export const media: Record<string, { recipe: string; file: string; limited: boolean }> = {
  qcow2: { recipe: "recipes/qcow2.yaml", file: "steelyard.qcow2", limited: true },
};

/** Builds the disk when needed and wraps it into the medium with debos. */
export async function buildMedia(name: string, kind: string, progress: Progress): Promise<void> {
  const medium = media[kind];
  if (!medium) throw new BuildError(`no such medium "${kind}"; there are: ${Object.keys(media).join(", ")}`);
  const profile = await buildImage(name, progress);
  const directory = imageDirectory(name);
  const path = join(directory, medium.file);
  const stampFile = join(directory, `${kind}.stamp`);
  const stamp = await hashInputs([join(repository, medium.recipe), join(directory, "image.stamp")]);
  if (await isCurrent(stampFile, stamp, path)) return;
  await rm(stampFile, { force: true });
  const partial = `${medium.file}.partial`;
  await rm(join(directory, partial), { force: true });
  const tree = await ensureTools(progress);
  await runTool(
    {
      title: `Wrapping the ${name} disk as ${kind}`,
      log: `media-${name}-${kind}.log`,
      argv: enterTools(tree, [
        "debos",
        "--disable-fakemachine",
        `--artifactdir=${inside}/build/images/${name}`,
        "--template-var=disk:steelyard.raw",
        `--template-var=medium:${partial}`,
        `${inside}/${medium.recipe}`,
      ]),
      note: async () => `${((await fileSize(join(directory, partial))) / 1e6).toFixed(0)} MB`,
    },
    progress,
  );
  const size = await fileSize(join(directory, partial));
  if (medium.limited && size > profile.mediaLimit * 1e6)
    throw new BuildError(
      `the ${kind} of ${name} has ${(size / 1e6).toFixed(0)} MB; the limit is ${profile.mediaLimit} MB (build/mkosi/${name}/output/steelyard.sizes shows where it goes)`,
    );
  await rename(join(directory, partial), path);
  await writeChecksums(directory, [medium.file]);
  await writeFile(stampFile, `${stamp}\n`);
}
