import { SteelyardError } from "../errors.ts";
import {
  type ChangeOptions,
  type CommandContext,
  changeQuery,
  type Pending,
  printForPrograms,
  reportChange,
} from "./context.ts";
import { printDifferences, printObject, printTable } from "./output.ts";

/** `steelyard config …`: what stands, and what stood. */

const path = "/api/v1/configuration";

export async function showConfiguration(
  context: CommandContext,
  { generation }: { generation?: string },
): Promise<void> {
  const { body } =
    generation === undefined
      ? await context.client.call("get", path)
      : await context.client.call("get", `${path}/generations/{generation}`, {
          path: { generation: readNumber(generation) },
        });
  if (await printForPrograms(context, body)) return;
  printObject(context.output, body);
}

export async function showHistory(context: CommandContext, { limit }: { limit?: string }): Promise<void> {
  const { client, output } = context;
  const [all, { generation: current }] = await Promise.all([
    client.list(`${path}/generations`),
    client.call("get", path),
  ]);
  const history = limit === undefined ? all : all.slice(0, readNumber(limit));
  if (await printForPrograms(context, history)) return;
  const rows = history.map(({ generation, time, author, source, message, compatible }) => [
    generation === current ? `${generation}*` : `${generation}`,
    time.replace(/\.\d+Z$/, "Z"),
    `${author}@${source}`,
    compatible ? message : `(of a newer system) ${message}`,
  ]);
  printTable(output, ["GENERATION", "TIME", "BY", "MESSAGE"], rows);
}

/** Between two generations; without the second the current one, without both the last change. */
export async function showDifferences(
  context: CommandContext,
  from: string | undefined,
  to: string | undefined,
): Promise<void> {
  const query = {
    ...(from === undefined ? {} : { from: readNumber(from) }),
    ...(to === undefined ? {} : { to: readNumber(to) }),
  };
  const { body } = await context.client.call("get", `${path}/diff`, { query });
  if (await printForPrograms(context, body)) return;
  if (body.differences.length === 0) context.output.print(`generations ${body.from} and ${body.to} are the same`);
  printDifferences(context.output, body.differences);
}

export async function rollBack(context: CommandContext, generation: string, options: ChangeOptions): Promise<void> {
  const number = readNumber(generation);
  const query = changeQuery(options);
  const answer = await context.client.call("post", `${path}/rollback`, { query, body: { generation: number } });
  const done = `rolled back to the content of generation ${number}`;
  await reportChange(context, answer, options.dryRun ?? false, done);
}

/** The change that goes back by itself unless it is confirmed. */
export async function showPending(context: CommandContext): Promise<void> {
  const { body } = await context.client.send<Pending & Record<string, unknown>>("GET", `${path}/pending`);
  if (await printForPrograms(context, body)) return;
  printObject(context.output, body);
}

export async function confirmPending(
  context: CommandContext,
  generation: string | undefined,
  { dryRun = false }: Pick<ChangeOptions, "dryRun">,
): Promise<void> {
  const body = generation === undefined ? {} : { generation: readNumber(generation) };
  const answer = await context.client.send<Pending>("POST", `${path}/confirm`, {
    query: changeQuery({ dryRun }),
    body,
  });
  await reportChange(context, answer, dryRun, `generation ${answer.body.generation} is confirmed and stays`);
}

export async function revertPending(
  context: CommandContext,
  { dryRun = false }: Pick<ChangeOptions, "dryRun">,
): Promise<void> {
  const answer = await context.client.send("POST", `${path}/pending/revert`, { query: changeQuery({ dryRun }) });
  await reportChange(context, answer, dryRun, "the change was taken back");
}

export function readNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new SteelyardError("bad-input", `${text}: expected the number of a generation`);
  return Number(text);
}
