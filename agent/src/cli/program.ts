import { Command, CommanderError } from "commander";
import { catalogue } from "../errors.ts";
import { dryRunOption, withContext } from "./context.ts";
import { type Output, reportError } from "./output.ts";

/** The `steelyard` command: its words, options and help. What each does is loaded when it is called. */

export type Surroundings = { output: Output; environment: NodeJS.ProcessEnv; input: NodeJS.ReadStream };

/** Runs a command line, without the names of node and the program; gives back the exit status. */
export async function runCommandLine(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const end = { status: 0 };
  try {
    await makeProgram(surroundings, end).parseAsync([...words], { from: "user" });
    return end.status;
  } catch (error) {
    // commander has said what it had to say: help and version are no errors, everything else is a wrong command line.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : catalogue["bad-input"].exit;
    return reportError(surroundings.output, error);
  }
}

const exitStatuses = `
Exit statuses: 0 done; 1 internal error; 2 the input is not valid; 3 no such object, or it exists already; 4 not logged in,
not allowed or too many requests; 5 the object changed meanwhile; 6 the change could not be applied and was taken back;
7 the appliance does not answer or is not ready.

Values are typed by the box: lists with commas (ports=80,443), field= for the default, field:=… for JSON.`;

export function makeProgram({ output, environment, input }: Surroundings, end = { status: 0 }): Command {
  const act = <Arguments extends unknown[]>(action: Parameters<typeof withContext<Arguments>>[2]) =>
    withContext<Arguments>(output, environment, action);
  const collect = (value: string, all: string[]) => [...all, value];

  const program = new Command("steelyard")
    .description("Drive a Steelyard load balancer: this one over its local socket, or another with --url.")
    .option("--socket <path>", "local socket of the agent", environment.STEELYARD_SOCKET ?? "/run/steelyard/api.sock")
    .option("--url <https://host:port>", "another box, over HTTPS")
    .option("--token <token>", "token of a session there; better in STEELYARD_TOKEN, where no process list shows it")
    .option("--fingerprint <sha256>", "fingerprint of its certificate, as its console shows it")
    .option("--json", "print the answers of the API")
    .addHelpText("after", exitStatuses)
    .configureOutput({
      writeOut: (text) => output.print(text.trimEnd()),
      writeErr: (text) => output.warn(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, "steelyard: ")),
    })
    .showSuggestionAfterError()
    .exitOverride();

  program
    .command("status")
    .description("how the box and its farms are")
    .action(act(async (context) => (await import("./system.ts")).showStatus(context)));

  const farm = program.command("farm").description("farms: services that are balanced over backends");
  farm
    .command("list")
    .description("all farms")
    .action(act(async (context) => (await import("./farm.ts")).listFarms(context)));
  farm
    .command("show <farm>")
    .description("one farm and what the data plane does with it")
    .action(act(async (context, name: string) => (await import("./farm.ts")).showFarm(context, name)));
  farm
    .command("create <farm> [field=value...]")
    .description("a new farm: farm create web --vip 192.0.2.10 --port 80 --backend b1=198.51.100.1:80,weight=3")
    .option("--file <path>", "farm as YAML or JSON, as the API shows it; - is standard input")
    .option("--vip <address>", "address clients connect to (repeatable)", collect, [])
    .option("--port <port>", "port or range, 80 or 8000-8010 (repeatable)", collect, [])
    .option("--backend <name=address:port,field=value>", "a backend (repeatable)", collect, [])
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, words: string[], options: never) =>
        (await import("./farm.ts")).createFarm(context, name, words, options),
      ),
    );
  farm
    .command("set <farm> <field=value...>")
    .description("change fields: farm set web algorithm=round-robin backends.b1.state=maintenance")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, words: string[], options: never) =>
        (await import("./farm.ts")).setFarm(context, name, words, options),
      ),
    );
  farm
    .command("delete <farm>")
    .description("delete a farm and close its ports")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, options: never) =>
        (await import("./farm.ts")).deleteFarm(context, name, options),
      ),
    );

  const backend = farm.command("backend").description("backends of a farm");
  backend
    .command("list <farm>")
    .description("all backends of a farm")
    .action(act(async (context, name: string) => (await import("./farm.ts")).listBackends(context, name)));
  backend
    .command("add <farm> <backend> <address:port> [field=value...]")
    .description("a new backend: farm backend add web b3 198.51.100.3:80 weight=2")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, key: string, where: string, words: string[], options: never) =>
        (await import("./farm.ts")).addBackend(context, name, key, where, words, options),
      ),
    );
  backend
    .command("set <farm> <backend> <field=value...>")
    .description("change fields: farm backend set web b1 state=maintenance")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, key: string, words: string[], options: never) =>
        (await import("./farm.ts")).setBackend(context, name, key, words, options),
      ),
    );
  backend
    .command("remove <farm> <backend>")
    .description("take a backend out of a farm")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, key: string, options: never) =>
        (await import("./farm.ts")).removeBackend(context, name, key, options),
      ),
    );

  const link = program.command("interface").description("network interfaces");
  link
    .command("list")
    .description("the links of the machine and what is configured on them")
    .action(act(async (context) => (await import("./network.ts")).listInterfaces(context)));
  link
    .command("show <interface>")
    .description("one interface: settings, state and counters")
    .action(act(async (context, name: string) => (await import("./network.ts")).showInterface(context, name)));
  link
    .command("set <interface> <field=value...>")
    .description("change fields: interface set eth0 ipv4.method=static ipv4.addresses=192.0.2.5/24")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, words: string[], options: never) =>
        (await import("./network.ts")).setInterface(context, name, words, options),
      ),
    );

  const address = program.command("address").description("virtual addresses: those farms listen on");
  address
    .command("list")
    .description("all virtual addresses")
    .action(act(async (context) => (await import("./network.ts")).listAddresses(context)));
  address
    .command("create <name> <address/length> [field=value...]")
    .description("a new one: address create web 192.0.2.10/24 --interface eth0")
    .requiredOption("--interface <interface>", "interface it is put on")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, where: string, words: string[], options: never) =>
        (await import("./network.ts")).createAddress(context, name, where, words, options),
      ),
    );
  address
    .command("delete <name>")
    .description("take a virtual address off")
    .option(...dryRunOption)
    .action(
      act(async (context, name: string, options: never) =>
        (await import("./network.ts")).deleteAddress(context, name, options),
      ),
    );

  const system = program.command("system").description("the box itself: host name, DNS, time, management, SSH");
  system
    .command("show")
    .description("the settings")
    .action(act(async (context) => (await import("./system.ts")).showSystem(context)));
  system
    .command("set <field=value...>")
    .description("change fields: system set hostname=lb1 dns.servers=192.0.2.53,192.0.2.54")
    .option(...dryRunOption)
    .action(
      act(async (context, words: string[], options: never) =>
        (await import("./system.ts")).setSystem(context, words, options),
      ),
    );

  const configuration = program.command("config").description("the whole configuration and its history");
  configuration
    .command("show")
    .description("everything, secrets hidden")
    .option("--generation <number>", "as it was in this generation")
    .action(
      act(async (context, options: object) => (await import("./configuration.ts")).showConfiguration(context, options)),
    );
  configuration
    .command("history")
    .description("who changed what and when, newest first; * marks the current generation")
    .action(act(async (context) => (await import("./configuration.ts")).showHistory(context)));
  configuration
    .command("diff [from] [to]")
    .description("what differs between two generations; the last change when none is given")
    .action(
      act(async (context, from: string | undefined, to: string | undefined) =>
        (await import("./configuration.ts")).showDifferences(context, from, to),
      ),
    );
  configuration
    .command("rollback <generation>")
    .description("make a new generation with the content of an old one")
    .option(...dryRunOption)
    .action(
      act(async (context, generation: string, options: never) =>
        (await import("./configuration.ts")).rollBack(context, generation, options),
      ),
    );

  program
    .command("login [user]")
    .description("log in to the box of --url and print the token: export STEELYARD_TOKEN=$(steelyard --url … login)")
    .action(
      act(async (context, user: string | undefined) =>
        (await import("./password.ts")).logIn(context, input, user ?? "admin"),
      ),
    );
  program
    .command("hash-password [user]")
    .description("read a password and print its hash, for an answer file")
    .action(async (user?: string) => (await import("./password.ts")).printPasswordHash(output, input, user ?? "admin"));
  program
    .command("console")
    .description("what stands on a console before the login: first-boot questions, then where the box is managed")
    .action(async () => {
      end.status = await (await import("../first-boot/console.ts")).runConsole();
    });
  return program;
}
