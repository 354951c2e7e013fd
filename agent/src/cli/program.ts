import { Command, CommanderError, Option } from "commander";
import openApi from "../client/openapi.mjs";
import { catalogue, SteelyardError } from "../errors.ts";
import { addBackupCommands } from "./backup-commands.ts";
import { type Act, addApiCommands } from "./commands.ts";
import { addConfigurationCommands } from "./configuration-commands.ts";
import {
  type ChangeOptions,
  confirmWithinOption,
  dryRunOption,
  forceOption,
  type GlobalOptions,
  type Surroundings,
  withContext,
} from "./context.ts";
import { printHelp, topicNames } from "./help.ts";
import { addImportCommands } from "./import.ts";
import type { ApiDocument } from "./model.ts";
import { note, noteOf } from "./notes.ts";
import { reportError } from "./output.ts";
import { version } from "./version.ts";

/** The `steelyard` command: its words, options and help. What each does is loaded when it is called. */

export type { Surroundings };

export const apiDocument = openApi as unknown as ApiDocument;

/** Runs a command line, without the names of node and the program; gives back the exit status. */
export async function runCommandLine(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const end = { status: 0 };
  try {
    const program = makeProgram(surroundings, end);
    if (words[0] === "__complete") {
      const { completeWords } = await import("./complete.ts");
      const candidates = await completeWords(program, apiDocument, words.slice(1), surroundings);
      for (const each of candidates) surroundings.output.print(each);
      return 0;
    }
    await program.parseAsync([...words], { from: "user" });
    return end.status;
  } catch (error) {
    // commander has said what it had to say: help and version are no errors, everything else is a wrong command line.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : catalogue["bad-input"].exit;
    return reportError(surroundings.output, await explainMistake(error));
  }
}

async function explainMistake(error: unknown): Promise<unknown> {
  if (!(error instanceof SteelyardError) || error.problems.length === 0) return error;
  return (await import("./suggest.ts")).suggestFields(error, apiDocument);
}

const epilogue = `
steelyard help ${topicNames.join("|")} tells more. Values are typed by the box: ports=80,443, field= for the default,
field:=… for JSON, field@=file for the text of a file.`;

export function makeProgram(
  surroundings: Surroundings,
  end = { status: 0 },
  document: ApiDocument = apiDocument,
): Command {
  const { output } = surroundings;
  const act: Act = (action) => withContext(surroundings, action);
  const program = new Command("steelyard")
    .description("Drive a Steelyard load balancer: this one over its local socket, or another with --url.")
    .option("--url <https://host:port>", "another box, over HTTPS")
    .option("--profile <name>", "another box, as kept by steelyard login")
    .option(
      "--token <token>",
      "API key or token of a session; better in STEELYARD_TOKEN, where no process list shows it",
    )
    .option("--fingerprint <sha256>", "fingerprint of its certificate, as its console shows it")
    .option("--socket <path>", "local socket of the agent; unless told, that of the user who types")
    .addOption(new Option("--json", "print the answers of the API as JSON").conflicts("yaml"))
    .option("--yaml", "print the answers of the API as YAML")
    .option("-q, --quiet", "say nothing of success; of lists, only the names")
    .version(version, "-V, --version", "version of this command; steelyard system status tells that of the box")
    .helpCommand(false)
    .addHelpText("after", epilogue)
    .configureOutput({
      writeOut: (text) => output.print(text.trimEnd()),
      writeErr: (text) => output.warn(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, "steelyard: ")),
    })
    .showSuggestionAfterError()
    .exitOverride();

  const status = program
    .command("status")
    .description("how the box and its farms are")
    .action(act(async (context) => (await import("./system.ts")).showStatus(context)));
  note(status, { examples: ["steelyard status", "steelyard status --json"] });
  addFarmCommands(program, act);
  addNetworkCommands(program, act);
  addConfigurationCommands(program, act, document);
  addImportCommands(program, act);
  addBackupCommands(program, act);
  addEventCommand(program, act, document);
  addApiCommands(program, document, act);
  note(
    program
      .command("seal")
      .description("take the identity from the box and power it off, to clone its disk")
      .option("--keep-configuration", "the copies serve with this configuration; else each has a first boot")
      .option("--yes", "do not ask")
      .option(...dryRunOption)
      .action(
        act(async (context, options: object) =>
          (await import("./seal.ts")).sealBox(context, surroundings.input, options),
        ),
      ),
    { examples: ["steelyard seal --yes"] },
  );
  addOwnCommands(program, surroundings, end);
  explain(program, []);
  return program;
}

/** Examples under the help of each command, and where to look after a line that is wrong. */
function explain(command: Command, parents: readonly string[]): void {
  const words = [...parents, command.name()];
  const { examples } = noteOf(command);
  if (examples.length > 0)
    command.addHelpText("after", `\n${examples.length > 1 ? "Examples" : "Example"}:\n${indent(examples)}`);
  command.showHelpAfterError(`(see: ${words.join(" ")} --help)`);
  for (const each of command.commands) explain(each, words);
}

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`).join("\n");

/** Parameters of a list's query, by their names. */
type Filters = Record<string, string>;

const collect = (value: string, all: string[] = []) => [...all, value];

/** Options of a change that has a command of its own. */
export function addChangeOptions(command: Command): Command {
  return command
    .option(...dryRunOption)
    .option(...confirmWithinOption)
    .option(...forceOption);
}

function addFarmCommands(program: Command, act: Act): void {
  const farm = program.command("farm").description("farms: services that are balanced over backends");
  note(
    farm
      .command("list")
      .description("all farms")
      .action(act(async (context, options: Filters) => (await import("./farm.ts")).listFarms(context, options))),
    {
      examples: [
        "steelyard farm list",
        "steelyard farm list --enabled false --sort=-name",
        "steelyard farm list --json | jq -r '.[].name'",
      ],
      filters: true,
    },
  );
  note(
    farm
      .command("show <farm>")
      .description("one farm and what the data plane does with each backend")
      .action(act(async (context, name: string) => (await import("./farm.ts")).showFarm(context, name))),
    { examples: ["steelyard farm show web"] },
  );
  note(
    addChangeOptions(
      farm
        .command("create <farm> [field=value...]")
        .description("a new farm: from options, a YAML or JSON file, or both")
        .option("--from <file>", "farm as YAML or JSON, as the API shows it; - is standard input")
        .option("--vip <address>", "address clients connect to (repeatable)", collect)
        .option("--port <port>", "port or range, 80 or 8000-8010 (repeatable)", collect)
        .option("--backend <name=address:port,field=value>", "a backend (repeatable)", collect),
    ).action(
      act(async (context, name: string, words: string[], options: never) =>
        (await import("./farm.ts")).createFarm(context, name, words, options),
      ),
    ),
    {
      examples: [
        "steelyard farm create web --vip 192.0.2.10 --port 80 --backend b1=198.51.100.1:80,weight=3 --backend b2=198.51.100.2:80",
        "steelyard farm create web --from web.yaml --dry-run",
      ],
    },
  );
  const backend = farm.command("backend").description("backends of a farm");
  note(
    backend
      .command("list <farm>")
      .description("all backends of a farm")
      .action(
        act(async (context, name: string, options: Filters) =>
          (await import("./farm.ts")).listBackends(context, name, options),
        ),
      ),
    { examples: ["steelyard farm backend list web"], filters: true },
  );
  note(
    addChangeOptions(
      backend
        .command("add <farm> <backend> <address:port> [field=value...]")
        .description("a new backend, its address in one word; IPv6 is [2001:db8::1]:80"),
    ).action(
      act(async (context, name: string, key: string, where: string, words: string[], options: ChangeOptions) =>
        (await import("./farm.ts")).addBackend(context, name, key, where, words, options),
      ),
    ),
    { examples: ["steelyard farm backend add web b3 198.51.100.3:80 weight=2"] },
  );
}

function addNetworkCommands(program: Command, act: Act): void {
  const link = program.command("interface").description("network interfaces");
  note(
    link
      .command("list")
      .description("the links of the machine and what is configured on them")
      .action(act(async (context) => (await import("./network.ts")).listInterfaces(context))),
    { examples: ["steelyard interface list"] },
  );
  note(
    link
      .command("show <interface>")
      .description("one interface: settings, state and counters")
      .action(act(async (context, name: string) => (await import("./network.ts")).showInterface(context, name))),
    { examples: ["steelyard interface show nic0"] },
  );
  note(
    addChangeOptions(
      link
        .command("set <interface> <field=value...>")
        .description("change fields; takes an interface into the configuration that was not in it"),
    ).action(
      act(async (context, name: string, words: string[], options: ChangeOptions) =>
        (await import("./network.ts")).setInterface(context, name, words, options),
      ),
    ),
    {
      examples: ["steelyard interface set nic0 ipv4.method=static ipv4.addresses=192.0.2.5/24 ipv4.gateway=192.0.2.1"],
    },
  );
  const address = program.command("address").description("virtual addresses: those farms listen on");
  note(
    addChangeOptions(
      address
        .command("add <name> <address/length> [field=value...]")
        .description("a new one, in short")
        .requiredOption("--interface <interface>", "interface it is put on"),
    ).action(
      act(async (context, name: string, where: string, words: string[], options: never) =>
        (await import("./network.ts")).createAddress(context, name, where, words, options),
      ),
    ),
    { examples: ["steelyard address add web 192.0.2.10/24 --interface nic0"] },
  );
}

/** Where the API has a stream of events. */
function addEventCommand(program: Command, act: Act, document: ApiDocument): void {
  if (!document.paths["/api/v1/events"]) return;
  note(
    program
      .command("events")
      .description("follow what happens, as it happens: commits, states, jobs; with --json one line of JSON each")
      .option("--topic <topics>", "some of them, with commas between")
      .option("--count <number>", "end after so many")
      .action(act(async (context, options: object) => (await import("./events.ts")).showEvents(context, options))),
    { examples: ["steelyard events", "steelyard events --topic commits --count 1 --json"] },
  );
}

/** What needs no operation of the API, or talks to a person. */
function addOwnCommands(program: Command, surroundings: Surroundings, end: { status: number }): void {
  const { output, input, runConsole } = surroundings;
  const optionsOf = (received: unknown[]) => (received.at(-1) as Command).optsWithGlobals<GlobalOptions>();
  note(
    program
      .command("login [url]")
      .description("log in to another box and keep that in a profile (0600): its address, certificate and key")
      .option("--user <name>", "whose session", "admin")
      .option("--key", "ask for an API key, not for a password")
      .option("--print", "print the token, keep nothing")
      .action(async (url: string | undefined, ...rest: unknown[]) =>
        (await import("./login.ts")).logIn(surroundings, url, optionsOf(rest) as never),
      ),
    {
      examples: [
        "steelyard login https://192.0.2.5:444 --user alice",
        "steelyard login https://192.0.2.5:444 --key --profile lb2 && steelyard --profile lb2 farm list",
      ],
    },
  );
  note(
    program
      .command("logout")
      .description("end the session of the profile, and forget it")
      .action(async (...received: unknown[]) => (await import("./login.ts")).logOut(surroundings, optionsOf(received))),
    { examples: ["steelyard logout"] },
  );
  note(
    program
      .command("hash-password [user]")
      .description("read a password and print its hash, for an answer file")
      .action(async (user?: string) =>
        (await import("./password.ts")).printPasswordHash(output, input, user ?? "admin"),
      ),
    { examples: ["steelyard hash-password"] },
  );
  if (runConsole)
    note(
      program
        .command("console")
        .description("what a console of the box asks: the first-boot questions, or with --menu how to recover it")
        .option("--menu", "roll back, restart, reset the password, factory reset")
        .action(async ({ menu = false }: { menu?: boolean }) => {
          end.status = await runConsole(menu);
        }),
      { examples: ["steelyard console --menu"] },
    );
  note(
    program
      .command("completion <shell>")
      .description("print what a shell needs to complete command lines: bash, zsh or fish")
      .action(async (shell: string) => output.print((await import("./completion-scripts.ts")).completionScript(shell))),
    { examples: ['eval "$(steelyard completion bash)"', "steelyard completion zsh > ~/.zfunc/_steelyard"] },
  );
  note(
    program
      .command("help [topic...]")
      .description(`of a command, or of: ${topicNames.join(", ")}`)
      .action((words: string[]) => printHelp(program, output, words)),
    { examples: ["steelyard help farm create", "steelyard help exit-codes"] },
  );
}
