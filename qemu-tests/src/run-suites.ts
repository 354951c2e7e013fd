import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { enterLab } from "./lab/enter.ts";
import { imagePath, resultFile } from "./paths.ts";
import { runSuites } from "./suite-runner.ts";

/**
 * Boots images and checks what they do.
 *
 *     node --import ./register.mjs qemu-tests/src/run-suites.ts [--profile virt] [--image FILE] [--test NAME] [--all]
 *
 * TAP on standard output, progress on standard error, a summary in build/test-results/qemu.json. Exit status 0 when every
 * check passed; a suite that could not run is a failure.
 */
const { values } = parseArgs({
  options: {
    profile: { type: "string", default: "virt" },
    image: { type: "string" },
    test: { type: "string" },
    all: { type: "boolean", default: false },
  },
});

// An old summary must not be taken for this run's, whatever happens now.
await rm(resultFile, { force: true });

await enterLab(async (lab) => {
  return await runSuites(lab, {
    image: values.image ?? imagePath(values.profile),
    all: values.all,
    ...(values.test === undefined ? {} : { test: values.test }),
  });
});
