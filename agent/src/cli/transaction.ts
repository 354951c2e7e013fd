import type { Answer } from "../client/client.ts";
import { SteelyardError } from "../errors.ts";
import { type ChangeOptions, type CommandContext, changeQuery, type Plan, reportChange } from "./context.ts";
import type { Fields } from "./fields.ts";
import { type ApiDocument, schemaOfConfiguration } from "./model.ts";
import { expand } from "./schemas.ts";

/** Many objects in one commit: the whole configuration in place of the one it was made from. */

const path = "/api/v1/transactions";

export type TransactionOptions = ChangeOptions & {
  /** The generation the change was made from; refused when another is current by then. */
  generation: number;
  message: string;
};

/** The configuration as the API shows it, secrets hidden, and the generation it is of. */
export async function readWhole({ client }: CommandContext): Promise<{ generation: number; configuration: Fields }> {
  const { body, generation } = await client.send<Fields>("GET", "/api/v1/configuration");
  if (generation === undefined) throw new SteelyardError("internal", "the box does not tell its generation");
  return { generation, configuration: body };
}

/** Sends the wanted configuration; with `dryRun` the plan and the differences come back. */
export async function sendWhole(
  { client }: CommandContext,
  wanted: Fields,
  { generation, message, ...options }: TransactionOptions,
): Promise<Answer<Plan>> {
  const query = changeQuery({ ...options, message: undefined });
  return await client.send<Plan>("POST", path, { query, body: { message, generation, replace: wanted } });
}

/** Sends it and says what came of it. */
export async function commitWhole(context: CommandContext, wanted: Fields, options: TransactionOptions): Promise<void> {
  const answer = await sendWhole(context, wanted, options);
  const { warnings } = answer.body;
  const same = answer.generation === options.generation && options.dryRun !== true;
  const done = same ? "nothing changed" : "configuration committed";
  await reportChange(context, { ...answer, warnings: options.dryRun ? [] : warnings }, options.dryRun ?? false, done);
}

/**
 * A configuration with the objects of another in place of its own of the same name; all others stay. Of the parts that are one
 * object each (`system`) the other's stands whole.
 */
export function mergeConfigurations(document: ApiDocument, current: Fields, other: Fields): Fields {
  const collections = listCollections(document);
  const merged = Object.entries(other).map(([part, value]) => {
    const both = collections.includes(part) && typeof value === "object" && value !== null && !Array.isArray(value);
    return [part, both ? { ...(current[part] as Fields), ...value } : value];
  });
  return { ...current, ...Object.fromEntries(merged) };
}

/** The parts of a configuration that hold objects by name; the others are one object each. */
export function listCollections(document: ApiDocument): string[] {
  return [...listParts(document)].flatMap(([name, directory]) => (directory === undefined ? [] : [name]));
}

/** The parts of a configuration, each with the directory its objects have in a generation; undefined for a single object. */
export function listParts(document: ApiDocument): Map<string, string | undefined> {
  const schema = schemaOfConfiguration(document);
  const [whole] = schema ? expand(document, schema) : [];
  return new Map(Object.entries(whole?.properties ?? {}).map(([name, part]) => [name, part["x-directory"]]));
}
