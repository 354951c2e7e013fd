import { SteelyardError } from "../errors.ts";
import { type CommandContext, reportChange } from "./context.ts";
import { confirmOnTerminal } from "./password.ts";

/** `steelyard seal` */

type SealOptions = { keepConfiguration?: boolean; yes?: boolean; dryRun?: boolean };

export async function sealBox(
  context: CommandContext,
  input: NodeJS.ReadStream,
  { keepConfiguration = false, yes = false, dryRun = false }: SealOptions,
): Promise<void> {
  const { client, output } = context;
  const { hostname } = (await client.call("get", "/api/v1/system")).body;
  const path = "/api/v1/system/seal";
  if (dryRun) {
    const answer = await client.send("POST", path, {
      query: { dryRun: "true" },
      body: { hostname, keepConfiguration },
    });
    return await reportChange(context, answer, true, "");
  }
  if (!yes) {
    if (!input.isTTY) throw new SteelyardError("bad-input", "expected --yes, since there is no terminal to ask on");
    const rest = keepConfiguration ? "The configuration stays" : "The configuration goes too";
    output.print(`${hostname} loses its identity, sessions, logs and backups, and powers off. ${rest}.`);
    if (!(await confirmOnTerminal(input, "Seal it?"))) throw new SteelyardError("bad-input", "nothing was done");
  }
  const { body } = await client.send<{ message: string }>("POST", path, { body: { hostname, keepConfiguration } });
  output.print(body.message);
}
