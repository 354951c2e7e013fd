import { runCommandLine } from "./program.ts";
import { findSurroundings } from "./surroundings.ts";

/** The `steelyard` command on the box. */

process.exitCode = await runCommandLine(process.argv.slice(2), {
  ...findSurroundings(),
  runConsole: async () => await (await import("../first-boot/console.ts")).runConsole(),
});
