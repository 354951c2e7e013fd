import type { Command } from "commander";
import type { Act } from "./commands.ts";
import { type ChangeOptions, confirmWithinOption, dryRunOption, forceOption } from "./context.ts";
import type { ApiDocument } from "./model.ts";
import { note } from "./notes.ts";

/** The words of `steelyard config …`. */
export function addConfigurationCommands(program: Command, act: Act, document: ApiDocument): void {
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
    addCommitOptions(
      configuration
        .command("edit [object]")
        .description(
          "the configuration, or an object of it (farms/web, system), in your editor; checked, shown and committed",
        )
        .option("-y, --yes", "commit without asking"),
    ).action(
      act(async (context, object: string | undefined, options: object) =>
        (await import("./edit.ts")).editConfiguration(context, object, options),
      ),
    ),
    { examples: ["steelyard config edit farms/web", "EDITOR=nano steelyard config edit --confirm-within 5"] },
  );
  note(
    addCommitOptions(
      configuration
        .command("apply")
        .description("put the objects of a file or directory into the configuration, all in one commit")
        .requiredOption(
          "-f, --file <file>",
          "YAML or JSON as config show --yaml writes it, or a directory of config export, a generation or a backup; - is standard input",
        )
        .option("--replace", "nothing else stays"),
    ).action(
      act(async (context, options: never) =>
        (await import("./apply.ts")).applyConfiguration(context, document, options),
      ),
    ),
    {
      examples: [
        "steelyard config apply -f farms.yaml --dry-run",
        "steelyard config apply -f saved --replace --confirm-within 10 --message 'back to the plan'",
      ],
    },
  );
  note(
    configuration
      .command("verify")
      .description(
        "have the box check a configuration, or without a file its own and every generation it keeps; nothing is changed",
      )
      .option("-f, --file <file>", "file or directory, as for config apply")
      .option("--replace", "as for config apply")
      .action(
        act(async (context, options: object) =>
          (await import("./apply.ts")).verifyConfiguration(context, document, options),
        ),
      ),
    { examples: ["steelyard config verify", "steelyard config verify -f farms.yaml"] },
  );
  note(
    configuration
      .command("export <directory>")
      .description("write one YAML file per object, as config apply reads them; secrets stay hidden")
      .action(
        act(async (context, directory: string) =>
          (await import("./apply.ts")).exportConfiguration(context, document, directory),
        ),
      ),
    { examples: ["steelyard config export saved"] },
  );
  note(
    configuration
      .command("rollback <generation>")
      .description("make a new generation with the content of an old one")
      .option(...dryRunOption)
      .option(...confirmWithinOption)
      .option(...forceOption)
      .action(
        act(async (context, generation: string, options: ChangeOptions) =>
          (await import("./configuration.ts")).rollBack(context, generation, options),
        ),
      ),
    { examples: ["steelyard config rollback 6 --dry-run", "steelyard config rollback 6"] },
  );
  note(
    configuration
      .command("pending")
      .description("the change that goes back by itself unless it is confirmed")
      .action(act(async (context) => (await import("./configuration.ts")).showPending(context))),
    { examples: ["steelyard config pending"] },
  );
  note(
    configuration
      .command("confirm [generation]")
      .description("the pending change stays")
      .option(...dryRunOption)
      .action(
        act(async (context, generation: string | undefined, options: ChangeOptions) =>
          (await import("./configuration.ts")).confirmPending(context, generation, options),
        ),
      ),
    { examples: ["steelyard config confirm"] },
  );
  note(
    configuration
      .command("revert")
      .description("take the pending change back now")
      .option(...dryRunOption)
      .action(
        act(async (context, options: ChangeOptions) =>
          (await import("./configuration.ts")).revertPending(context, options),
        ),
      ),
    { examples: ["steelyard config revert"] },
  );
}

function addCommitOptions(command: Command): Command {
  return command
    .option("--dry-run", "check everything, change nothing, show the plan and the differences")
    .option(...confirmWithinOption)
    .option(...forceOption)
    .option("--message <text>", "what the change is for; stands in the history");
}
