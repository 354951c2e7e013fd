import { runCommandLine } from "./program.ts";
import { findSurroundings } from "./surroundings.ts";

/** The `steelyard` command for any other computer: one file, without what only a box has. */

process.exitCode = await runCommandLine(process.argv.slice(2), findSurroundings());
