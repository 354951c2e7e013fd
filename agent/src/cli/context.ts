import { userInfo } from "node:os";
import type { Command } from "commander";
import { type Answer, type Client, makeClient, type RequestOptions } from "../client/client.ts";
import type { Connection } from "../client/transport.ts";
import {
  type Difference,
  type Format,
  type Output,
  paint,
  printDifferences,
  printJson,
  printWarnings,
} from "./output.ts";

/** What the command is run in. */
export type Surroundings = {
  output: Output;
  environment: NodeJS.ProcessEnv;
  input: NodeJS.ReadStream;
  /** What stands on a console before the login; on the box alone. Gives back the exit status. */
  runConsole?: (menu: boolean) => Promise<number>;
};

/** What a subcommand works with. */
export type CommandContext = Surroundings & {
  client: Client;
  connection: Connection;
  format: Format;
  /** Success is not told; lists are names alone. */
  quiet: boolean;
};

export type GlobalOptions = {
  socket?: string;
  url?: string;
  token?: string;
  fingerprint?: string;
  profile?: string;
  json?: boolean;
  yaml?: boolean;
  quiet?: boolean;
};

/** An action of commander with its context made from the global options; `command` holds its own. */
export function withContext<Arguments extends unknown[]>(
  surroundings: Surroundings,
  action: (context: CommandContext, ...args: Arguments) => Promise<void>,
) {
  return async (...received: unknown[]) => {
    // commander passes the arguments, then the options, then the command itself.
    const command = received.at(-1) as Command;
    const context = await makeContext(surroundings, command.optsWithGlobals<GlobalOptions>());
    await action(context, ...(received.slice(0, -1) as Arguments));
  };
}

export async function makeContext(surroundings: Surroundings, options: GlobalOptions): Promise<CommandContext> {
  const { environment } = surroundings;
  const connection = { ...(await findConnection(environment, options)), ...originOf(environment) };
  const format = options.json ? "json" : options.yaml ? "yaml" : "text";
  return { ...surroundings, connection, client: makeClient(connection), format, quiet: options.quiet ?? false };
}

/** `192.0.2.7 52000 192.0.2.5 22` of sshd(8): over SSH, a change can cut off whoever types. */
function originOf({ SSH_CONNECTION = "" }: NodeJS.ProcessEnv): { origin?: string } {
  const [address = ""] = SSH_CONNECTION.split(" ");
  return address === "" ? {} : { origin: address };
}

/** Which box: what the command line says, then the environment, then the profile of `steelyard login`, then this one. */
async function findConnection(environment: NodeJS.ProcessEnv, options: GlobalOptions): Promise<Connection> {
  const { STEELYARD_URL, STEELYARD_TOKEN, STEELYARD_FINGERPRINT, STEELYARD_SOCKET } = environment;
  const socket = options.socket ?? (STEELYARD_SOCKET || undefined) ?? ownSocket();
  const token = options.token ?? STEELYARD_TOKEN;
  const url = options.url ?? (options.socket === undefined ? STEELYARD_URL : undefined);
  const isLocal = url === undefined && (options.socket !== undefined || STEELYARD_SOCKET !== undefined);
  if (isLocal && options.profile === undefined) return { socket, ...(token === undefined ? {} : { token }) };
  const { readProfile } = await import("./profile.ts");
  const profile = await readProfile(environment, options.profile);
  // A token goes to the box that gave it and to no other.
  const own = profile && (url === undefined || url === profile.url) ? profile : undefined;
  if (url === undefined && own === undefined) return { socket, ...(token === undefined ? {} : { token }) };
  const fingerprint = options.fingerprint ?? STEELYARD_FINGERPRINT ?? own?.fingerprint;
  const known = token ?? own?.token;
  return {
    socket,
    url: url ?? own?.url ?? "",
    ...(known === undefined ? {} : { token: known }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}

/** Writes an answer for programs when they are who reads, of a list with `--quiet` the names; true when it did. */
export async function printForPrograms(
  { output, format, quiet }: CommandContext,
  value: unknown,
  names?: readonly string[],
): Promise<boolean> {
  if (format === "json") printJson(output, value);
  else if (format === "yaml") output.print((await import("./yaml.ts")).stringify(value, { lineWidth: 0 }).trimEnd());
  else if (quiet && names) for (const name of names) output.print(name);
  else return false;
  return true;
}

export type Plan = {
  generation: number;
  warnings: { path: string; message: string }[];
  steps: { subsystem: string; summary: string }[];
  differences?: Difference[] | undefined;
  /** Minutes; 0 when it stays by itself. */
  confirmWithin?: number | undefined;
  reasons?: string[] | undefined;
  pending?: Pending | undefined;
};

/** A commit that stands until its deadline unless it is confirmed. */
export type Pending = { generation: number; parent: number; deadline: string; reasons: string[] };

/** Says what a change did, or would do. */
export async function reportChange(
  context: CommandContext,
  answer: Answer,
  dryRun: boolean,
  done: string,
): Promise<void> {
  const { output, quiet } = context;
  printWarnings(output, answer.warnings);
  if (answer.confirmBefore !== undefined) warnOfDeadline(output, answer.confirmBefore, reasonsOf(answer.body));
  if (await printForPrograms(context, answer.body ?? { generation: answer.generation })) return;
  if (dryRun) return reportPlan(output, answer.body as Plan);
  const words = answer.generation === undefined ? done : `${done} (generation ${answer.generation})`;
  if (!quiet) output.print(words);
}

/** What a dry run found. */
export function reportPlan(output: Output, plan: Plan): void {
  const { warnings, steps, differences = [], confirmWithin = 0, reasons = [] } = plan;
  printWarnings(output, warnings);
  printDifferences(output, differences);
  if (steps.length === 0 && differences.length === 0) output.print("nothing to do");
  for (const { subsystem, summary } of steps) output.print(`${paint(output, "cyan", subsystem)}: ${summary}`);
  if (confirmWithin > 0) {
    const why = reasons.length > 0 ? ` (${reasons.join("; ")})` : "";
    output.warn(`warning: it would have to be confirmed within ${confirmWithin} min, or it goes back${why}`);
  }
}

export function warnOfDeadline(output: Output, deadline: string, reasons: readonly string[] = []): void {
  const why = reasons.length > 0 ? ` (${reasons.join("; ")})` : "";
  output.warn(`warning: this goes back by itself at ${deadline}, unless you type: steelyard config confirm${why}`);
}

function reasonsOf(body: unknown): string[] {
  return (body as Plan | undefined)?.pending?.reasons ?? [];
}

/** What a change may be asked beside its content. */
export type ChangeOptions = {
  dryRun?: boolean | undefined;
  confirmWithin?: string | undefined;
  force?: boolean | undefined;
  message?: string | undefined;
};

/** The query of a change: only what was asked. */
export function changeQuery(options: ChangeOptions): NonNullable<RequestOptions["query"]> {
  const { dryRun, confirmWithin, force, message } = options;
  return {
    ...(force ? { force: "true" } : {}),
    ...(dryRun ? { dryRun: "true" } : {}),
    ...(confirmWithin === undefined ? {} : { confirmWithin }),
    ...(message === undefined ? {} : { message }),
  };
}

export const forceOption = ["--force", "take addresses that another host has"] as const;
export const confirmWithinOption = [
  "--confirm-within <minutes>",
  "goes back by itself unless it is confirmed in time; 0: never",
] as const;
export const dryRunOption = ["--dry-run", "check everything, change nothing, show the plan"] as const;

/** Root's socket, or that of the user who types: the agent knows by it who calls. */
function ownSocket(): string {
  if (process.getuid?.() === 0) return "/run/steelyard/api.sock";
  return `/run/steelyard/users/${userInfo().username}/api.sock`;
}
