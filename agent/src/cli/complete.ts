import type { Command, Option } from "commander";
import { type Client, fillPath } from "../client/client.ts";
import { type GlobalOptions, makeContext, type Surroundings } from "./context.ts";
import { schemaOfBody } from "./fields.ts";
import { nameOf } from "./generic.ts";
import { topicNames } from "./help.ts";
import { type ApiCommand, type ApiDocument, listOfParameter } from "./model.ts";
import { noteOf } from "./notes.ts";
import { listProfiles } from "./profile.ts";
import { findSchema, listFields, valuesOf } from "./schemas.ts";
import { listCollections } from "./transaction.ts";

/** What could stand where the cursor is: the shells ask with `steelyard __complete`. */

/** Whoever waits for a completion waits this long, in milliseconds, and gets none then. */
const patience = 2_000;

/** A line each, with a description after a tab where there is one. The last word is the one begun, perhaps empty. */
export async function completeWords(
  program: Command,
  document: ApiDocument,
  words: readonly string[],
  surroundings: Surroundings,
): Promise<string[]> {
  const begun = words.at(-1) ?? "";
  const place = findPlace(program, words.slice(0, -1));
  const { command, option, values } = place;
  const matching = (candidates: readonly string[]) => candidates.filter((each) => each.startsWith(begun));
  const ask = (name: string) => askForNames(place, document, name, surroundings);
  if (option?.attributeName() === "profile") return matching(await listProfiles(surroundings.environment));
  if (option) return matching(option.argChoices ?? (await ask(option.attributeName())));
  if (begun.startsWith("-")) return matching(listOptions(program, command));
  const argument = command.registeredArguments[values.length] ?? command.registeredArguments.at(-1);
  if (command.name() === "help") return matching([...topicNames, ...describeCommands(followNames(program, values))]);
  if (command.commands.length > 0 && values.length === 0) return matching(describeCommands(command));
  if (!argument || (values.length >= command.registeredArguments.length && !argument.variadic)) return [];
  if (argument.name() === "shell") return matching(["bash", "zsh", "fish"]);
  const { api } = noteOf(command);
  if (argument.name().startsWith("field=value")) return api ? await completeField(document, api, begun, ask) : [];
  if (argument.name() === "object") return matching(await listObjects(place, document, surroundings));
  if (namesWhatIsNew(command, values.length)) return [];
  return matching(await ask(argument.name()));
}

/** Nobody completes the name of what is not there yet: the last of the names, where something is made. */
function namesWhatIsNew(command: Command, at: number): boolean {
  const names = command.registeredArguments.filter((each) => /^[a-z]+$/.test(each.name()));
  return ["create", "add"].includes(command.name()) && at === names.length - 1;
}

type Place = {
  command: Command;
  /** The option whose value is wanted. */
  option: Option | undefined;
  values: string[];
  options: GlobalOptions;
};

/** Where the words before the cursor lead. */
function findPlace(program: Command, words: readonly string[]): Place {
  const place: Place = { command: program, option: undefined, values: [], options: {} };
  for (const word of words) {
    if (place.option) {
      Object.assign(place.options, { [place.option.attributeName()]: word });
      place.option = undefined;
    } else if (word.startsWith("-")) {
      const [flag, value] = word.split(/=(.*)/s);
      const all = [...place.command.options, ...program.options];
      const option = all.find(({ long, short }) => long === flag || short === flag);
      if (!option?.required) continue;
      if (value === undefined) place.option = option;
      else Object.assign(place.options, { [option.attributeName()]: value });
    } else {
      const next = place.values.length === 0 ? findCommand(place.command, word) : undefined;
      if (next) place.command = next;
      else place.values.push(word);
    }
  }
  return place;
}

function findCommand(command: Command, word: string): Command | undefined {
  return command.commands.find((each) => each.name() === word);
}

function followNames(program: Command, words: readonly string[]): Command {
  return words.reduce((command, word) => findCommand(command, word) ?? command, program);
}

function describeCommands(command: Command): string[] {
  const visible = command.createHelp().visibleCommands(command);
  return visible.map((each) => `${each.name()}\t${each.description()}`);
}

function listOptions(program: Command, command: Command): string[] {
  const all = [...command.options, ...(command === program ? [] : program.options)];
  return [...all.map(({ long, description }) => `${long}\t${description}`), "--help\tdisplay help for command"];
}

/** The names of the objects an argument is chosen from. A box that does not answer has none. */
async function askForNames(
  { command, values, options }: Place,
  document: ApiDocument,
  name: string,
  surroundings: Surroundings,
): Promise<string[]> {
  // The name of a new object, or of a file.
  const key = name === "from" || name === "to" ? "generation" : name;
  const list = name === "from" && command.name() !== "diff" ? undefined : listOfParameter(document, key);
  if (list === undefined) return [];
  const given = Object.fromEntries(command.registeredArguments.map((each, at) => [each.name(), values[at] ?? ""]));
  return await askInTime(surroundings, options, async (client) => {
    const items = await client.sendList<Record<string, unknown>>(fillPath(list, given));
    return items.map((item) => String(item[key] ?? nameOf(item)));
  });
}

/** What `config edit` can show by itself: `system`, `farms`, `farms/web`. */
async function listObjects({ options }: Place, document: ApiDocument, surroundings: Surroundings): Promise<string[]> {
  return await askInTime(surroundings, options, async (client) => {
    const { body } = await client.send<Record<string, object>>("GET", "/api/v1/configuration");
    const collections = listCollections(document);
    return Object.entries(body).flatMap(([part, objects]) => [
      part,
      ...(collections.includes(part) ? Object.keys(objects).map((name) => `${part}/${name}`) : []),
    ]);
  });
}

/** A box that does not answer, or not in time, has no names. */
async function askInTime(
  surroundings: Surroundings,
  options: GlobalOptions,
  question: (client: Client) => Promise<string[]>,
): Promise<string[]> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error("late")), patience).unref();
  });
  try {
    const { client } = await makeContext(surroundings, options);
    return await Promise.race([question(client), late]);
  } catch {
    return [];
  }
}

/** Fields that hold names of other objects, by their last word, and what these are in the paths of the API. */
const references: Record<string, string> = {
  certificate: "certificate",
  groups: "group",
  interface: "interface",
  interfaces: "interface",
  owner: "user",
  roles: "role",
};

/** `algorithm=` for `alg`, `algorithm=weight` and the others for `algorithm=`, `backends.` before the name of a member. */
async function completeField(
  document: ApiDocument,
  { method, path, verb, named }: ApiCommand,
  begun: string,
  ask: (name: string) => Promise<string[]>,
): Promise<string[]> {
  const schema = schemaOfBody(document, method, path);
  if (!schema) return [];
  const [name = "", value] = begun.split(/=(.*)/s);
  if (value !== undefined) {
    const reference = references[name.split(".").at(-1) ?? ""];
    const values = valuesOf(document, findSchema(document, schema, name.split(".")));
    const known = values.length === 0 && reference !== undefined ? await ask(reference) : values;
    const before = value.slice(0, value.lastIndexOf(",") + 1);
    return known.map((each) => `${name}=${before}${each}`).filter((each) => each.startsWith(begun));
  }
  const given = begun.split(".");
  const candidates = listFields(document, schema).flatMap((field) => {
    const segments = field.name.split(".");
    const open = segments.findIndex((segment, at) => segment === "<name>" && given[at + 1] === undefined);
    const filled = segments.map((segment, at) => (segment === "<name>" ? (given[at] ?? "") : segment));
    if (field.name === "name" && (named || verb === "set")) return [];
    return [open < 0 ? `${filled.join(".")}=` : `${filled.slice(0, open).join(".")}.`];
  });
  return [...new Set(candidates)].filter((each) => each.startsWith(begun));
}
