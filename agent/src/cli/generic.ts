import { fillPath, type RequestOptions } from "../client/client.ts";
import { SteelyardError } from "../errors.ts";
import { type CommandContext, printForPrograms, reportChange } from "./context.ts";
import { type Fields, readFields, withoutNulls } from "./fields.ts";
import { type ApiCommand, type ApiDocument, bodyOf, rawAnswerOf, rawTypeOf } from "./model.ts";
import { printObject, printTable } from "./output.ts";
import { expand } from "./schemas.ts";

/** What a command made from an operation of the API does. */

export type GenericOptions = Record<string, string | boolean | undefined> & { from?: string; output?: string };
export type GenericArguments = { parameters: string[]; name?: string | undefined; words: string[] };

/** `query` says which of the options are parameters of the query, by the names they have there. */
export async function runApiCommand(
  context: CommandContext,
  command: ApiCommand,
  { parameters, name, words }: GenericArguments,
  options: GenericOptions,
  document: ApiDocument,
): Promise<void> {
  const values = Object.fromEntries(command.parameters.map((each, at) => [each, parameters[at] ?? ""]));
  const path = fillPath(command.path, values);
  const query = queryOf(command, options);
  if (command.verb === "list") return listObjects(context, path, query);
  if (command.method === "get") return showObject(context, command, path, { query }, options.output);
  const body = await readBody(context, command, words, name, options.from);
  const answer = await context.client.send(command.method, path, { query, ...body });
  const object = [...command.words.slice(0, command.verb === "act" ? undefined : -1)].join(" ");
  const names = [...parameters, ...(name === undefined ? [] : [name])].join("/");
  const subject = names === "" ? object : `${object} ${names}`;
  await reportChange(context, answer, options.dryRun === true, `${subject} ${past[command.verb] ?? "done"}`);
  const shown = answer.body as Fields | undefined;
  if (context.format !== "text" || options.dryRun === true || typeof shown !== "object") return;
  // What only this answer tells: a key that is shown once, or what an action found.
  if (Array.isArray(shown.steps) || context.quiet) return;
  if (command.verb === "act" || tellsMore(document, command)) printObject(context.output, shown);
}

const past: Partial<Record<ApiCommand["verb"], string>> = {
  create: "created",
  set: "changed",
  delete: "deleted",
  clear: "deleted",
};

export type ListOptions = NonNullable<RequestOptions["query"]>;

/** What a list is asked for; with `limit` no more than so many, however many pages there are. */
export async function readList<Item>(
  query: ListOptions,
  read: (query: ListOptions) => Promise<Item[]>,
): Promise<Item[]> {
  const all = await read(query);
  return query.limit === undefined ? all : all.slice(0, Number(query.limit));
}

export async function listObjects(context: CommandContext, path: string, query: ListOptions): Promise<void> {
  const items = await readList(query, (each) => context.client.sendList<Fields>(path, each));
  if (
    await printForPrograms(
      context,
      items,
      items.map((item) => String(nameOf(item))),
    )
  )
    return;
  const titles = chooseColumns(items);
  printTable(
    context.output,
    titles.map((each) => each.replace(/([a-z])([A-Z])/g, "$1 $2").toUpperCase()),
    items.map((item) => titles.map((title) => item[title])),
  );
}

/** What identifies an object: its name, or the first of its fields. */
export function nameOf(item: Fields): unknown {
  return item.name ?? item.id ?? Object.values(item)[0];
}

/** The name first, the description last; of the fields between those that one cell can hold. */
function chooseColumns(items: readonly Fields[]): string[] {
  const all = [...new Set(items.flatMap((item) => Object.keys(item)))];
  const last = ["description", "message"];
  const fits = (key: string) =>
    items.some((item) => item[key] !== null && item[key] !== undefined && item[key] !== "") &&
    items.every((item) => typeof item[key] !== "object" || item[key] === null || isFlat(item[key])) &&
    // A certificate and its like would tear the lines of a table apart.
    !items.some((item) => typeof item[key] === "string" && item[key].includes("\n"));
  const chosen = all.filter((key) => !last.includes(key) && fits(key));
  return [...chosen, ...last.filter((key) => all.includes(key) && fits(key))];
}

function isFlat(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each !== "object");
}

async function showObject(
  context: CommandContext,
  command: ApiCommand,
  path: string,
  options: RequestOptions,
  file: string | undefined,
): Promise<void> {
  const raw = rawAnswerOf(command.operation);
  const { body } = await context.client.send(command.method, path, raw ? { ...options, accept: raw } : options);
  if (file !== undefined) return (await import("./save.ts")).saveAnswer(file, body);
  if (Buffer.isBuffer(body)) return context.output.write(body);
  if (!(await printForPrograms(context, body))) printObject(context.output, body ?? {});
  if (command.path === "/api/v1/access/audit/verify") requireWhole(body as AuditReport);
}

type AuditReport = { whole: boolean; broken?: { file: number; line: number; sequence: number; reason: string } };

/** A script shall not have to read the report to know. */
function requireWhole({ whole, broken }: AuditReport): void {
  if (whole) return;
  const where = broken ? `record ${broken.sequence} (file ${broken.file}, line ${broken.line}): ${broken.reason}` : "";
  throw new SteelyardError("corrupt", `the audit log is not as it was written: ${where}`);
}

/** The body of a request: a file as it stands, or fields of a file with those of the command line on top. */
async function readBody(
  context: CommandContext,
  command: ApiCommand,
  words: string[],
  name: string | undefined,
  from: string | undefined,
): Promise<Pick<RequestOptions, "body" | "headers">> {
  const { operation, verb, method, path } = command;
  const raw = rawTypeOf(operation);
  const files = await import("./file.ts");
  if (raw !== undefined && !bodyOf(operation)) {
    if (from === undefined)
      throw new SteelyardError("bad-input", "--from: expected the file to send; - is standard input");
    return { body: await files.readBytes(from), headers: { "Content-Type": raw } };
  }
  if (!bodyOf(operation)) return {};
  const base = from === undefined ? {} : await files.readObjectFile(from);
  const { makeTextReader, warnOfSecrets } = await import("./typed.ts");
  warnOfSecrets(context.output, words);
  const fields = await readFields(context.client, `${method} ${path}`, words, makeTextReader(context.input, words));
  const merged = mergeObjects(base, verb === "set" ? fields : withoutNulls(fields));
  const body = { ...merged, ...(name === undefined ? {} : { name }) };
  if (verb === "set" && Object.keys(body).length === 0)
    throw new SteelyardError("bad-input", "expected field=value, or --from with a file of them");
  return { body };
}

/** Fields of the second on top of those of the first. */
function mergeObjects(one: Fields, other: Fields): Fields {
  const result = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const before = result[key];
    const both = [before, value].every((each) => typeof each === "object" && each !== null && !Array.isArray(each));
    result[key] = both ? mergeObjects(before as Fields, value as Fields) : value;
  }
  return result;
}

function queryOf({ operation }: ApiCommand, options: GenericOptions): NonNullable<RequestOptions["query"]> {
  const query: NonNullable<RequestOptions["query"]> = {};
  for (const { in: place, name } of operation.parameters ?? []) {
    if (place !== "query") continue;
    const value = options[name] ?? options[`${name}Query`];
    if (value !== undefined) query[name] = value;
  }
  return query;
}

/** Whether making an object answers with fields that reading it does not have. */
function tellsMore(document: ApiDocument, { verb, path, operation }: ApiCommand): boolean {
  if (verb !== "create") return false;
  const item = Object.keys(document.paths).find((each) => each.startsWith(`${path}/{`) && each.endsWith("}"));
  const read = item === undefined ? [] : propertiesOf(document, document.paths[item]?.get?.responses["200"]);
  const made = propertiesOf(document, operation.responses["201"]);
  return made.some((each) => !read.includes(each));
}

function propertiesOf(
  document: ApiDocument,
  response: ApiDocument["paths"][string][string]["responses"][string] | undefined,
) {
  const schema = response?.content?.["application/json"]?.schema;
  return schema ? expand(document, schema).flatMap(({ properties = {} }) => Object.keys(properties)) : [];
}
