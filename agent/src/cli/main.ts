import { runCommandLine } from "./program.ts";
import { findSurroundings } from "./surroundings.ts";

/** The `steelyard` command on the box. */

process.exitCode = await runCommandLine(process.argv.slice(2), {
  ...findSurroundings(),
  runConsole: async (menu) =>
    menu
      ? await (await import("../first-boot/menu.ts")).runMenu()
      : await (await import("../first-boot/console.ts")).runConsole(),
});
