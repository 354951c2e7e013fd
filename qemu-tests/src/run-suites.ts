import { rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { enterLab } from "./lab/enter.ts";
import { imagePath, resultFile } from "./paths.ts";

/**
 * Boots images and checks what they do.
 *
 *     node --import ./register.mjs qemu-tests/src/run-suites.ts [--profile virt] [--image FILE]
 *         [--hardware virtual|server] [--test NAME,...] [--all]
 *
 * TAP on standard output, progress on standard error, a summary in build/test-results/qemu.json. Exit status 0 when every
 * check passed; a suite that could not run is a failure.
 */
const { values } = parseArgs({
  options: {
    profile: { type: "string", default: "virt" },
    image: { type: "string" },
    hardware: { type: "string", default: "virtual" },
    test: { type: "string" },
    all: { type: "boolean", default: false },
  },
});

const { hardware } = values;
if (hardware !== "virtual" && hardware !== "server") {
  process.stderr.write(`--hardware is virtual or server, not ${hardware}\n`);
  process.exit(2);
}

// An old summary must not be taken for this run's, whatever happens now.
await rm(resultFile, { force: true });

// tap's limit for a whole run, in seconds. Every wait in the suites has a limit of its own.
process.env.TAP_TIMEOUT = "86400";

await enterLab(async (lab) => {
  // Loaded inside only: tap begins to report, and to count down, in any process that imports it.
  const { runSuites } = await import("./suite-runner.ts");
  return await runSuites(lab, {
    image: values.image ?? imagePath(values.profile),
    hardware,
    all: values.all,
    ...(values.test === undefined ? {} : { test: values.test }),
  });
});
