import { SteelyardError } from "../errors.ts";
import { type CommandContext, changeQuery, reportChange } from "./context.ts";
import { type Output, paint, printJson, printObject, printTable } from "./output.ts";

/** `steelyard config …` */

type Generation = { generation: number; author: string; source: string; time: string; message: string };
type Differences = { from: number; to: number; differences: { object: string; change: string; text: string }[] };

const path = "/api/v1/configuration";

export async function showConfiguration(
  { client, output, json }: CommandContext,
  { generation }: { generation?: string },
): Promise<void> {
  const which = generation === undefined ? path : `${path}/generations/${readNumber(generation)}`;
  const { body } = await client.send("GET", which);
  if (json) return printJson(output, body);
  printObject(output, body);
}

export async function showHistory({ client, output, json }: CommandContext): Promise<void> {
  const [history, { generation: current }] = await Promise.all([
    client.list<Generation>(`${path}/generations`),
    client.send("GET", path),
  ]);
  if (json) return printJson(output, history);
  const rows = history.map(({ generation, time, author, source, message }) => [
    generation === current ? `${generation}*` : generation,
    time.replace(/\.\d+Z$/, "Z"),
    `${author}@${source}`,
    message,
  ]);
  printTable(output, ["GENERATION", "TIME", "BY", "MESSAGE"], rows);
}

/** Between two generations; without the second the current one, without both the last change. */
export async function showDifferences(
  { client, output, json }: CommandContext,
  from: string | undefined,
  to: string | undefined,
): Promise<void> {
  const bounds = Object.entries({ from, to }).flatMap(([key, text]) =>
    text === undefined ? [] : [`${key}=${readNumber(text)}`],
  );
  const { body } = await client.send<Differences>("GET", `${path}/diff?${bounds.join("&")}`);
  if (json) return printJson(output, body);
  if (body.differences.length === 0) output.print(`generations ${body.from} and ${body.to} are the same`);
  for (const { object, change, text } of body.differences) {
    output.print(paint(output, "bold", `${object}: ${change}`));
    for (const line of text.trimEnd().split("\n")) output.print(paintLine(output, line));
  }
}

export async function rollBack(
  context: CommandContext,
  generation: string,
  options: { dryRun?: boolean },
): Promise<void> {
  const number = readNumber(generation);
  const answer = await context.client.send("POST", `${path}/rollback${changeQuery(options)}`, { generation: number });
  reportChange(context, answer, options.dryRun ?? false, `rolled back to the content of generation ${number}`);
}

function paintLine(output: Output, line: string): string {
  if (line.startsWith("+")) return paint(output, "green", line);
  return line.startsWith("-") ? paint(output, "red", line) : line;
}

function readNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new SteelyardError("bad-input", `${text}: expected the number of a generation`);
  return Number(text);
}
