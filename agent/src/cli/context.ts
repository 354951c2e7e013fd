import type { Command } from "commander";
import { type Answer, type Client, makeClient } from "./client.ts";
import { type Output, paint, printJson, printWarnings } from "./output.ts";

/** What a subcommand works with. */
export type CommandContext = {
  client: Client;
  output: Output;
  /** The answers of the API as they are, for programs. */
  json: boolean;
};

export type GlobalOptions = { socket: string; url?: string; token?: string; fingerprint?: string; json?: boolean };

/** An action of commander with its context made from the global options; `command` holds its own. */
export function withContext<Arguments extends unknown[]>(
  output: Output,
  environment: NodeJS.ProcessEnv,
  action: (context: CommandContext, ...args: Arguments) => Promise<void>,
) {
  return async (...received: unknown[]) => {
    // commander passes the arguments, then the options, then the command itself.
    const command = received.at(-1) as Command;
    const { json = false, ...connection } = command.optsWithGlobals<GlobalOptions>();
    const token = connection.token ?? environment.STEELYARD_TOKEN;
    const client = makeClient({ ...connection, ...(token === undefined ? {} : { token }) });
    await action({ client, output, json }, ...(received.slice(0, -1) as Arguments));
  };
}

type Plan = {
  generation: number;
  warnings: { path: string; message: string }[];
  steps: { subsystem: string; summary: string }[];
};

/** Says what a change did, or would do. */
export function reportChange({ output, json }: CommandContext, answer: Answer, dryRun: boolean, done: string): void {
  printWarnings(output, answer.warnings);
  if (json) {
    printJson(output, answer.body ?? { generation: answer.generation });
    return;
  }
  if (dryRun) {
    reportPlan(output, answer.body as Plan);
    return;
  }
  output.print(`${done} (generation ${answer.generation})`);
}

function reportPlan(output: Output, { warnings, steps }: Plan): void {
  printWarnings(output, warnings);
  if (steps.length === 0) output.print("nothing to do");
  for (const { subsystem, summary } of steps) output.print(`${paint(output, "cyan", subsystem)}: ${summary}`);
}

/** `?dryRun=true` when asked for. */
export function changeQuery({ dryRun = false }: { dryRun?: boolean }): string {
  return dryRun ? "?dryRun=true" : "";
}

export const dryRunOption = ["--dry-run", "check everything, change nothing, show the plan"] as const;
