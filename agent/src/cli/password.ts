import { randomBytes } from "node:crypto";
import { hashPassword } from "../access/password.ts";
import { checkPassword } from "../access/password-policy.ts";
import { SteelyardError } from "../errors.ts";
import { openTerminal } from "../first-boot/terminal.ts";
import type { CommandContext } from "./context.ts";
import { type Output, printJson } from "./output.ts";

/** `steelyard hash-password` and `steelyard login` */

/** Prints the hash of a password for an answer file. Throws `bad-input` for one the appliance would not take. */
export async function printPasswordHash(output: Output, input: NodeJS.ReadStream, user: string): Promise<void> {
  const password = await readSecret(input, "Password: ");
  const reasons = checkPassword(password, user);
  if (reasons.length > 0) throw new SteelyardError("bad-input", `the password: ${reasons.join("; ")}`);
  output.print(await hashPassword(password, randomBytes));
}

/** Logs in to a box over HTTPS and prints the token, for `STEELYARD_TOKEN`. */
export async function logIn(
  { client, output, json }: CommandContext,
  input: NodeJS.ReadStream,
  user: string,
): Promise<void> {
  const password = await readSecret(input, `Password of ${user}: `);
  const { body } = await client.send<{ token: string; expires: string }>("POST", "/api/v1/sessions", {
    user,
    password,
  });
  if (json) return printJson(output, body);
  output.print(body.token);
}

/** The first line of standard input; asked for without an echo on a terminal. Questions go to standard error. */
async function readSecret(input: NodeJS.ReadStream, question: string): Promise<string> {
  if (input.isTTY) {
    const terminal = openTerminal(input, process.stderr);
    try {
      return await terminal.askSecret(question);
    } finally {
      terminal.close();
    }
  }
  let text = "";
  input.setEncoding("utf8");
  for await (const part of input) text += part;
  return text.split(/\r?\n/)[0] ?? "";
}
