import { rm } from "node:fs/promises";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { bundleCommand } from "./bundle.ts";
import { BuildError } from "./errors.ts";
import { buildImage, requireRoot } from "./image.ts";
import { artefactPath } from "./index.ts";
import { withBuildLock } from "./lock.ts";
import { buildMedia } from "./media.ts";
import { build, repository } from "./paths.ts";
import { makeProgress } from "./progress.ts";
import { wasInterrupted } from "./run-tool.ts";
import { ensureTools } from "./tools-tree.ts";

const usage = `steelyard-build tools                              make or reuse the tools tree
steelyard-build image --profile <name>             build the system disk
steelyard-build media --profile <name> [--kind qcow2]   and wrap it into a medium
steelyard-build cli                                the command for other computers, one file
steelyard-build clean                              remove build/`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { profile: { type: "string", default: "virt" }, kind: { type: "string", default: "qcow2" } },
  });
  const progress = makeProgress();
  const show = (path: string) => console.log(relative(repository, path));
  const { profile, kind } = values;
  switch (positionals[0]) {
    case "tools":
      requireRoot();
      show(await withBuildLock(() => ensureTools(progress)));
      break;
    case "image":
      await withBuildLock(() => buildImage(profile, progress));
      show(artefactPath(profile, "raw"));
      break;
    case "media":
      await withBuildLock(() => buildMedia(profile, kind, progress));
      show(artefactPath(profile, "qcow2"));
      break;
    case "cli":
      show(await bundleCommand());
      break;
    case "clean":
      await withBuildLock(async () => {});
      await rm(build, { recursive: true, force: true });
      break;
    default:
      throw new BuildError(usage);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BuildError) && (error as { code?: string }).code !== "ERR_PARSE_ARGS_UNKNOWN_OPTION")
    throw error;
  const { message, log } = error as BuildError;
  console.error(`\n${message}${log ? `\n\nThe whole output: ${relative(repository, log)}` : ""}`);
  process.exitCode = wasInterrupted() ? 130 : 1;
}
