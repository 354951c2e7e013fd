import type { Command } from "commander";
import type { Act } from "./commands.ts";
import type { ChangeOptions } from "./context.ts";
import { note } from "./notes.ts";

/** The words of `steelyard config …`. */
export function addConfigurationCommands(program: Command, act: Act): void {
  const configuration = program.command("config").description("the whole configuration and its history");
  note(
    configuration
      .command("show")
      .description("everything, secrets hidden")
      .option("--generation <number>", "as it was in this generation")
      .action(
        act(async (context, options: object) =>
          (await import("./configuration.ts")).showConfiguration(context, options),
        ),
      ),
    { examples: ["steelyard config show --yaml", "steelyard config show --generation 6"] },
  );
  note(
    configuration
      .command("history")
      .description("who changed what and when, newest first; * marks the current generation")
      .option("--limit <number>", "the newest so many")
      .action(
        act(async (context, options: object) => (await import("./configuration.ts")).showHistory(context, options)),
      ),
    { examples: ["steelyard config history --limit 20"] },
  );
  note(
    configuration
      .command("diff [from] [to]")
      .description("what differs between two generations; the last change when none is given")
      .action(
        act(async (context, from: string | undefined, to: string | undefined) =>
          (await import("./configuration.ts")).showDifferences(context, from, to),
        ),
      ),
    { examples: ["steelyard config diff", "steelyard config diff 3 7"] },
  );
  note(
    configuration
      .command("rollback <generation>")
      .description("make a new generation with the content of an old one")
      .option("--dry-run", "check everything, change nothing, show the plan")
      .action(
        act(async (context, generation: string, options: ChangeOptions) =>
          (await import("./configuration.ts")).rollBack(context, generation, options),
        ),
      ),
    { examples: ["steelyard config rollback 6 --dry-run", "steelyard config rollback 6"] },
  );
}
