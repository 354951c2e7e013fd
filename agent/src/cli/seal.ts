import { SteelyardError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { confirmOnTerminal } from "./password.ts";

/** `steelyard seal` */

type SealOptions = { keepConfiguration?: boolean; yes?: boolean };

export async function sealBox(
  context: CommandContext,
  input: NodeJS.ReadStream,
  { keepConfiguration = false, yes = false }: SealOptions,
): Promise<void> {
  const { client, output } = context;
  const { hostname } = (await client.call("get", "/api/v1/system")).body;
  if (!yes) {
    if (!input.isTTY) throw new SteelyardError("bad-input", "expected --yes, since there is no terminal to ask on");
    const rest = keepConfiguration ? "The configuration stays" : "The configuration goes too";
    output.print(`${hostname} loses its identity, sessions, logs and backups, and powers off. ${rest}.`);
    if (!(await confirmOnTerminal(input, "Seal it?"))) throw new SteelyardError("bad-input", "nothing was done");
  }
  const { body } = await client.call("post", "/api/v1/system/seal", { body: { hostname, keepConfiguration } });
  output.print(body.message);
}
