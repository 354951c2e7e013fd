import { SteelyardError } from "../errors.ts";
import { type CommandContext, printForPrograms, reportChange } from "./context.ts";
import { askOnTerminal } from "./password.ts";

/** `steelyard system factory-reset` */

export async function resetBox(
  context: CommandContext,
  { hostname, keep = "", dryRun = false }: { hostname?: string; keep?: string; dryRun?: boolean },
): Promise<void> {
  const { client, output } = context;
  const kept = keep.split(",").filter((each) => each !== "");
  const path = "/api/v1/system/factory-reset";
  if (dryRun) {
    const name = hostname ?? (await client.call("get", "/api/v1/system")).body.hostname;
    const answer = await client.send("POST", path, { query: { dryRun: "true" }, body: { hostname: name, keep: kept } });
    return await reportChange(context, answer, true, "");
  }
  const { body } = await client.send<{ message: string }>("POST", path, {
    body: { hostname: hostname ?? (await askForName(context, kept)), keep: kept },
  });
  if (!(await printForPrograms(context, body))) output.print(body.message);
}

async function askForName({ input, output, client }: CommandContext, keep: readonly string[]): Promise<string> {
  if (!input.isTTY) throw new SteelyardError("bad-input", "--hostname: expected the host name of the box to reset");
  const { body } = await client.call("get", "/api/v1/system");
  const rest = keep.length > 0 ? `; ${keep.join(" and ")} are kept` : ", logs and backups too";
  output.warn(`This takes away everything ${body.hostname} was told: configuration, users, keys${rest}.`);
  return await askOnTerminal(input, "Its host name, to go on: ");
}
