import type { Command } from "commander";
import { catalogue, SteelyardError } from "../errors.ts";
import type { Output } from "./output.ts";

/** `steelyard help …`: of a command, or of a topic that belongs to no single one. */

/** What each exit status means, from the catalogue of errors. */
export function describeExitStatuses(): { status: number; meaning: string }[] {
  const meanings = new Map<number, string[]>([[0, ["Done"]]]);
  for (const { exit, title } of Object.values(catalogue)) meanings.set(exit, [...(meanings.get(exit) ?? []), title]);
  return [...meanings]
    .sort(([one], [other]) => one - other)
    .map(([status, titles]) => ({ status, meaning: titles.join("; ") }));
}

export const valueRules = [
  ["algorithm=round-robin", "a field and its value; the box says what each takes (--help of the command lists them)"],
  ["backends.b1.state=down", "dots lead into an object"],
  ["ports=80,443", "commas make a list"],
  ["enabled=no", "true, yes, on and false, no, off"],
  ["ipv4.gateway=", "nothing takes a field back to its default"],
  ["backends:='{\"b1\":null}'", ":= takes JSON as it stands, as in the API's merge patch; this removes a backend"],
  ["certificate@=site.pem", "@= takes the text of a file; - is standard input, without an echo on a terminal"],
] as const;

export const environmentRules = [
  ["STEELYARD_URL", "the box to drive, as --url"],
  ["STEELYARD_TOKEN", "API key or token of a session, as --token, but no process list shows it"],
  ["STEELYARD_FINGERPRINT", "fingerprint of its certificate, as --fingerprint"],
  ["STEELYARD_PROFILE", "profile of steelyard login, as --profile"],
  ["STEELYARD_SOCKET", "local socket of the agent, as --socket"],
  ["VISUAL, EDITOR", "the editor of config edit; vi, nano or editor when neither is set"],
  ["NO_COLOR", "no colours (no-color.org); none are used but on a terminal"],
] as const;

const topics: Record<string, () => string[]> = {
  "exit-codes": () => describeExitStatuses().map(({ status, meaning }) => `${status}  ${meaning}`),
  values: () => valueRules.map(([example, words]) => `${example.padEnd(26)}  ${words}`),
  environment: () => environmentRules.map(([name, words]) => `${name.padEnd(22)}  ${words}`),
};

export const topicNames = Object.keys(topics);

export function printHelp(program: Command, output: Output, words: readonly string[]): void {
  const topic = words.length === 1 ? topics[words[0] ?? ""] : undefined;
  if (topic) {
    for (const line of topic()) output.print(line);
    return;
  }
  let command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (!next) throw new SteelyardError("bad-input", `there is no command or topic ${words.join(" ")}`);
    command = next;
  }
  command.outputHelp();
}
