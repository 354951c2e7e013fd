import { readFile, stat } from "node:fs/promises";
import type { Command } from "commander";
import { SteelyardError } from "../errors.ts";
import type { ImportResult } from "../import/routes.ts";
import type { Act } from "./commands.ts";
import {
  type ChangeOptions,
  type CommandContext,
  changeQuery,
  confirmWithinOption,
  dryRunOption,
  forceOption,
  printForPrograms,
  reportPlan,
  warnOfDeadline,
} from "./context.ts";
import { note } from "./notes.ts";
import { type Output, printDifferences, printTable } from "./output.ts";

/** `steelyard import …` */

type Options = ChangeOptions & { map: string[]; keepInterfaces?: boolean; commit?: boolean; diff?: boolean };

/** Hooks the commands into the program. */
export function addImportCommands(program: Command, act: Act): void {
  const collect = (value: string, all: string[]) => [...all, value];
  const zevenet = program
    .command("import")
    .description("take over the configuration of another product")
    .command("zevenet <backup>")
    .description("a backup of ZEVENET or SKUDONET CE 5 to 7 (.tar.gz or directory): tells what it would take")
    .option("--map <eth0:nic0>", "interface of the backup and the one in its place here (repeatable)", collect, [])
    .option("--keep-interfaces", "leave the addresses of this box's interfaces as they are")
    .option("--diff", "show what changes, object by object")
    .option("--commit", "take it")
    .option(...dryRunOption)
    .option(...confirmWithinOption)
    .option(...forceOption)
    .action(act(async (context, path: string, options: Options) => importZevenet(context, path, options)));
  note(zevenet, {
    examples: [
      "steelyard import zevenet backup-monday.tar.gz",
      "steelyard import zevenet backup-monday.tar.gz --map eth0:nic0 --commit",
    ],
  });
}

async function importZevenet(context: CommandContext, path: string, options: Options): Promise<void> {
  const { client, output } = context;
  const { body: result } = await client.send<ImportResult>("POST", "/api/v1/configuration/import/zevenet", {
    query: {
      map: options.map,
      commit: options.commit ?? false,
      ...changeQuery(options),
      ...(options.keepInterfaces ? { interfaces: "keep" } : {}),
    },
    body: await readBackup(path),
    headers: { "Content-Type": "application/gzip" },
  });
  if (await printForPrograms(context, result)) return;
  printReport(output, result);
  output.print("");
  if (options.diff) printDifferences(output, result.differences);
  const { pending, ...plan } = result.plan;
  if (!result.committed) reportPlan(output, plan);
  else if (pending) warnOfDeadline(output, pending.deadline, pending.reasons);
  const { taken, changed, notSupported } = result.summary;
  const done = result.committed
    ? `taken over as generation ${result.plan.generation}`
    : "nothing was changed: --commit takes it";
  output.print(`${taken} taken, ${changed} changed, ${notSupported} not supported; ${done}`);
}

function printReport(output: Output, { report }: ImportResult): void {
  const rows = report.map(({ kind, name, result, target, notes, later }) => [
    result,
    kind,
    name,
    target ?? "",
    [...notes, ...(later === undefined ? [] : [`comes with: ${later}`])].join("; "),
  ]);
  printTable(output, ["RESULT", "KIND", "NAME", "BECOMES", "NOTES"], rows);
}

/** A directory is packed here, so that both come to the box in one form. */
async function readBackup(path: string): Promise<Buffer> {
  try {
    if (!(await stat(path)).isDirectory()) return await readFile(path);
    // Most commands have no use for it, and all would wait for it.
    const { create } = await import("tar");
    const parts: Buffer[] = [];
    for await (const part of create({ gzip: true, cwd: path, portable: true }, ["."])) parts.push(part as Buffer);
    return Buffer.concat(parts);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SteelyardError("bad-input", `${path}: ${code === "ENOENT" ? "no such file" : message}`, { cause: error });
  }
}
