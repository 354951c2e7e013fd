import { SteelyardError } from "../errors.ts";
import { type CommandContext, printForPrograms } from "./context.ts";
import { paint } from "./output.ts";

/** `steelyard events` */

export type EventOptions = { topic?: string; count?: string };

type Envelope = { time?: string; data?: Record<string, unknown> };

/** Prints what happens as it happens, a line each, until it is interrupted or so many have come. */
export async function showEvents(context: CommandContext, { topic, count }: EventOptions): Promise<void> {
  if (count !== undefined && !/^[1-9]\d{0,8}$/.test(count))
    throw new SteelyardError("bad-input", `--count ${count}: expected a number of events`);
  const { client, output, format } = context;
  let left = count === undefined ? Number.POSITIVE_INFINITY : Number(count);
  for await (const { event, data } of client.follow("/api/v1/events", { query: { topic } })) {
    if (format === "json") output.print(JSON.stringify(data));
    else if (format === "yaml") {
      output.print("---");
      await printForPrograms(context, data);
    } else output.print(describeEvent(event, data as Envelope, (text) => paint(output, "cyan", text)));
    left -= 1;
    if (left <= 0) return;
  }
}

function describeEvent(event: string, envelope: Envelope, emphasise: (text: string) => string): string {
  const { time = "", data = {} } = envelope ?? {};
  const facts = Object.entries(data)
    .filter(([key, value]) => key !== "time" && value !== null && value !== undefined)
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [time.replace(/\.\d+Z$/, "Z"), emphasise(event), ...facts].join(" ").trim();
}
