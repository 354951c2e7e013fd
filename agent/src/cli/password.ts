import { randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { hashPassword } from "../access/password.ts";
import { checkPassword } from "../access/password-policy.ts";
import { SteelyardError } from "../errors.ts";
import { openTerminal } from "../first-boot/terminal.ts";
import type { Output } from "./output.ts";

/** `steelyard hash-password`, and questions to a person. */

/** Prints the hash of a password for an answer file. Throws `bad-input` for one the appliance would not take. */
export async function printPasswordHash(output: Output, input: NodeJS.ReadStream, user: string): Promise<void> {
  const password = await readSecret(input, "Password: ");
  const reasons = checkPassword(password, user);
  if (reasons.length > 0) throw new SteelyardError("bad-input", `the password: ${reasons.join("; ")}`);
  output.print(await hashPassword(password, randomBytes));
}

/** The first line of standard input; asked for without an echo on a terminal. Questions go to standard error. */
export async function readSecret(input: NodeJS.ReadStream, question: string): Promise<string> {
  if (input.isTTY) {
    const terminal = openTerminal(input, process.stderr);
    try {
      return await terminal.askSecret(question);
    } finally {
      terminal.close();
    }
  }
  return (await buffer(input)).toString("utf8").split(/\r?\n/)[0] ?? "";
}

/** The line a person types. */
export async function askOnTerminal(input: NodeJS.ReadStream, question: string): Promise<string> {
  const terminal = openTerminal(input, process.stderr);
  try {
    return await terminal.ask(question);
  } finally {
    terminal.close();
  }
}

/** Yes or no; anything but a yes is a no. */
export async function confirmOnTerminal(input: NodeJS.ReadStream, question: string): Promise<boolean> {
  return /^y(?:es)?$/i.test(await askOnTerminal(input, `${question} [y/N] `));
}
