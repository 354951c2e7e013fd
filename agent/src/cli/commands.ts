import type { Command } from "commander";
import { dryRunOption, forceOption, type withContext } from "./context.ts";
import { schemaOfBody } from "./fields.ts";
import {
  type ApiCommand,
  type ApiDocument,
  type ApiParameter,
  bodyOf,
  deriveCommands,
  rawAnswerOf,
  rawTypeOf,
} from "./model.ts";
import { note, noteOf } from "./notes.ts";
import { nouns } from "./nouns.ts";
import { type Field, listFields } from "./schemas.ts";
import { isSecret } from "./typed.ts";

/** Adds a command for each operation that has none written by hand. */

export type Act = <Arguments extends unknown[]>(
  action: Parameters<typeof withContext<Arguments>>[1],
) => (...received: unknown[]) => Promise<void>;

export function addApiCommands(program: Command, document: ApiDocument, act: Act): void {
  for (const api of deriveCommands(document)) {
    const parent = findParent(program, api.words.slice(0, -1));
    const word = api.words.at(-1) ?? "";
    const known = parent.commands.find((each) => each.name() === word);
    if (known) {
      // Written by hand, or a noun of which this reads the whole.
      if (!noteOf(known).api) describeKnown(known, api, document);
      continue;
    }
    addCommand(parent, word, api, document, act);
  }
  describeNouns(program);
}

/** What a command written by hand takes too: the fields of the object, and of a list the filters. */
function describeKnown(command: Command, api: ApiCommand, document: ApiDocument): void {
  note(command, { api });
  const takesFields = command.registeredArguments.some((each) => each.name().startsWith("field=value"));
  if (takesFields) command.addHelpText("after", () => describeFields(api, document));
  if (api.verb === "list" && noteOf(command).filters)
    for (const each of api.operation.parameters ?? []) addQueryOption(command, each, "list");
}

function findParent(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    command = command.commands.find((each) => each.name() === word) ?? command.command(word);
  }
  return command;
}

function addCommand(parent: Command, word: string, api: ApiCommand, document: ApiDocument, act: Act): void {
  const { operation, parameters, named, verb } = api;
  const command = parent
    .command(word)
    .description(`${operation.summary[0]?.toLowerCase()}${operation.summary.slice(1)}`);
  for (const each of parameters) command.argument(`<${each}>`);
  if (named) command.argument("<name>", "name of the new object");
  const takesFields = bodyOf(operation) !== undefined;
  if (takesFields) command.argument("[field=value...]", "see below");
  if (takesFields) command.option("--from <file>", "fields from a YAML or JSON file; - is standard input");
  else if (rawTypeOf(operation)) command.requiredOption("--from <file>", "what to send; - is standard input");
  if (rawAnswerOf(operation)) command.option("--output <file>", "write to this file, not to standard output");
  for (const each of operation.parameters ?? []) addQueryOption(command, each, verb);
  note(command, { api, examples: exampleOf(api, document) });
  command.addHelpText("after", () => describeFields(api, document));
  command.action(
    act(async (context, ...received: unknown[]) => {
      const options = received.at(-1) as Record<string, string | boolean | undefined>;
      const values = received.slice(0, -1);
      const words = takesFields ? (values.pop() as string[]) : [];
      const name = named ? (values.pop() as string) : undefined;
      const { runApiCommand } = await import("./generic.ts");
      await runApiCommand(context, api, { parameters: values as string[], name, words }, options, document);
    }),
  );
}

/** Options of the program, which a parameter of the same name must not hide. */
const reserved = [
  "json",
  "yaml",
  "quiet",
  "url",
  "token",
  "socket",
  "fingerprint",
  "profile",
  "version",
  "help",
  "from",
  "output",
];

/** `?dryRun=true` is `--dry-run`; a list is read to its end, so that there is no `--offset`. */
function addQueryOption(command: Command, parameter: ApiParameter, verb: ApiCommand["verb"]): void {
  const { in: place, name, schema, description = schema?.description ?? "", required = false } = parameter;
  if (place !== "query" || (verb === "list" && ["offset", "cursor"].includes(name))) return;
  if (name === "force") {
    command.option(...forceOption);
    return;
  }
  if (name === "dryRun") {
    command.option(...dryRunOption);
    return;
  }
  const own = reserved.includes(name) ? `${name}Query` : name;
  const dashed = own.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const flags = `--${dashed} <${name === "confirmWithin" ? "minutes" : name}>`;
  if (required) command.requiredOption(flags, description);
  else command.option(flags, description);
}

/** The fields a command takes, with their values, units and defaults. */
export function describeFields({ operation, method, path, verb, named }: ApiCommand, document: ApiDocument): string {
  const schema = bodyOf(operation) && schemaOfBody(document, method, path);
  if (!schema) return "";
  const isSet = verb === "set";
  const all = listFields(document, schema).filter(({ name }) => name !== "name" || !(named || isSet));
  const fields = isSet ? all.map((field) => ({ ...field, required: false })) : all;
  if (fields.length === 0) return "";
  return `\nFields:\n${fields.map((field) => `  ${field.name}=${field.takes}${describeField(field)}`).join("\n")}`;
}

function describeField({ description, required, default: fallback, example }: Field): string {
  const shown = fallback === undefined || fallback === "" ? undefined : describeValue(fallback);
  const facts = [
    description,
    required ? "required" : undefined,
    shown === undefined ? undefined : `default ${shown}`,
    example === undefined ? undefined : `like ${describeValue(example)}`,
  ].filter((each) => each !== undefined);
  return facts.length === 0 ? "" : `\n      ${facts.join("; ")}`;
}

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(describeValue).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A line a person could type, from the example of the request. */
function exampleOf(api: ApiCommand, document: ApiDocument): string[] {
  const { words, parameters, named, operation, method, path } = api;
  const media = bodyOf(operation) ?? {};
  const schema = schemaOfBody(document, method, path);
  const sample = (media.example ??
    Object.values(media.examples ?? {})[0]?.value ??
    schema?.examples?.[0] ??
    {}) as object;
  const { name = "web", ...fields } = sample as { name?: string };
  const assignments = toAssignments(fields).slice(0, 4);
  const some = api.verb === "set" ? assignments.slice(-2) : assignments;
  const own = api.verb === "set" && some.length === 0 ? ["description=new"] : some;
  const from = !bodyOf(operation) && rawTypeOf(operation) ? ["--from", "file"] : [];
  const given = parameters.map((each) => exampleNames[each] ?? each);
  const all = ["steelyard", ...words, ...given, ...(named ? [name] : []), ...(bodyOf(operation) ? own : []), ...from];
  return [all.join(" ")];
}

const exampleNames: Record<string, string> = {
  backup: "lb1-20260102-030405",
  certificate: "site",
  directory: "corp",
  job: "k7mq2xwp4a1c",
  link: "nic1",
  route: "partner",
  rule: "partner",
  table: "partner",
  target: "siem",
  uplink: "fibre",
  farm: "web",
  backend: "b1",
  interface: "nic0",
  address: "web",
  user: "alice",
  group: "operators",
  role: "farm-operator",
  generation: "6",
};

function toAssignments(object: object, prefix = ""): string[] {
  return Object.entries(object).flatMap(([key, value]) => {
    if (Array.isArray(value))
      return value.some((each) => typeof each === "object")
        ? [`${prefix}${key}:='${JSON.stringify(value)}'`]
        : [quote(`${prefix}${key}=${value.join(",")}`)];
    if (typeof value === "object" && value !== null) return toAssignments(value, `${prefix}${key}.`);
    if (isSecret(key)) return [`${prefix}${key}@=-`];
    // A key or a certificate comes from a file.
    if (String(value).includes("\n")) return [`${prefix}${key}@=${key}.pem`];
    return [quote(`${prefix}${key}=${value}`)];
  });
}

function quote(text: string): string {
  return /^[\w.,:=/@+-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A noun that nobody described is described by what can be done with it. */
function describeNouns(command: Command, parents: readonly string[] = []): void {
  for (const each of command.commands) {
    const words = [...parents, each.name()];
    describeNouns(each, words);
    if (each.description() !== "" || each.commands.length === 0) continue;
    const [first] = each.commands;
    const what = first?.description().replace(/^\S+ (?:a |an |the )?/, "") ?? each.name();
    each.description(nouns[words.join(" ")] ?? `${what}: ${each.commands.map((verb) => verb.name()).join(", ")}`);
  }
}
