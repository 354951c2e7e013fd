import { checkPassword } from "../access/password-policy.ts";
import { addressFamily, address as addressSchema, hostName, prefixedAddress } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import type { LinkStatus } from "../network/status.ts";
import { type Draft, describeFailure, emptyDraft, type Family, summarize, toAnswers } from "./draft.ts";
import { type Asking, ask, askChoice, askField, askList, askYesNo } from "./questions.ts";
import type { AnswersInput } from "./schema.ts";
import type { Terminal } from "./terminal.ts";

export type WizardOptions = {
  terminal: Terminal;
  /** Rejects every question when somebody else has answered. */
  signal?: AbortSignal;
  readLinks(): Promise<Pick<LinkStatus, "name" | "mac" | "driver" | "carrier" | "speed">[]>;
  /** Commits the answers; throws what the commit says. */
  complete(answers: AnswersInput): Promise<void>;
};

/**
 * The questions line by line, for a terminal that knows no cursor (TERM=dumb, steelyard.console=plain); see screens.ts for the others.
 * Asks for what the box must know before it can be managed, shows it, and commits it; again until that has
 * worked.
 */
export async function runWizard({ terminal, signal, readLinks, complete }: WizardOptions): Promise<void> {
  const asking = { terminal, signal };
  terminal.write("\nThis appliance has no configuration yet. Some questions make the first one;\n");
  terminal.write("the rest is done over the API. Enter takes what stands in brackets.\n");
  let draft: Draft = emptyDraft;
  for (;;) {
    draft = await askDraft(asking, draft, readLinks);
    const password = await askPassword(asking);
    terminal.write(`\n${summarize(draft)}\n`);
    if (!(await askYesNo(asking, "Use these settings", true))) continue;
    terminal.write("Applying the settings. This can take a minute.\n");
    try {
      await complete(toAnswers(draft, password));
      return;
    } catch (error) {
      if (error instanceof SteelyardError && error.code === "exists") throw error;
      terminal.write(`\nThe settings could not be used:\n${describeFailure(error)}\nPlease answer again.\n`);
    }
  }
}

async function askDraft(asking: Asking, before: Draft, readLinks: WizardOptions["readLinks"]): Promise<Draft> {
  asking.terminal.write("\n");
  const hostname = await askField(asking, "Host name", hostName, before.hostname);
  const name = await askInterface(asking, before.interface, readLinks);
  const ipv4Method = await askChoice(asking, "IPv4 address by", ["dhcp", "static", "none"], before.ipv4.method);
  const ipv4 = await askFamily(asking, "ipv4", ipv4Method, before.ipv4);
  const ipv6Method = await askChoice(asking, "IPv6 address by", ["automatic", "static", "none"], before.ipv6.method);
  const ipv6 = await askFamily(asking, "ipv6", ipv6Method, before.ipv6);
  const dns = await askList(asking, "DNS servers", addressSchema, before.dns);
  const ssh = await askYesNo(asking, `SSH on ${name}, with the administrator's password`, before.ssh);
  return { ...before, hostname, interface: name, ipv4, ipv6, dns, ssh };
}

async function askInterface(
  asking: Asking,
  preset: string | undefined,
  readLinks: WizardOptions["readLinks"],
): Promise<string> {
  for (;;) {
    const links = await readLinks();
    asking.terminal.write(`\n${formatLinks(links)}\n`);
    const first = links.find(({ carrier }) => carrier) ?? links[0];
    if (!first) {
      await asking.terminal.ask("No network interface was found. Enter looks again: ", asking.signal);
      continue;
    }
    const answer = await ask(asking, {
      text: "Management interface, by name or number (r looks again)",
      preset: preset ?? first.name,
      read: (typed) => {
        if (typed === "r") return { answer: undefined };
        const found = links.find(({ name }, at) => name === typed || String(at + 1) === typed);
        return found
          ? { answer: found.name }
          : { complaint: `expected one of ${links.map((each) => each.name).join(", ")}` };
      },
    });
    if (answer !== undefined) return answer;
  }
}

function formatLinks(links: Awaited<ReturnType<WizardOptions["readLinks"]>>): string {
  const row = (cells: string[]) =>
    `  ${cells.map((cell, at) => cell.padEnd([3, 16, 18, 14, 10][at] ?? 0)).join(" ")}`.trimEnd();
  const rows = links.map(({ name, mac, driver, carrier, speed }, at) =>
    row([String(at + 1), name, mac ?? "-", driver ?? "-", carrier ? (speed ? `${speed} Mbit/s` : "up") : "no link"]),
  );
  return [row(["#", "name", "MAC", "driver", "link"]), ...rows].map((line) => `${line}\n`).join("");
}

async function askFamily<Method extends string>(
  asking: Asking,
  family: "ipv4" | "ipv6",
  method: Method,
  before: Family<Method>,
): Promise<Family<Method>> {
  if (method !== "static") return { method, addresses: [] };
  const name = family === "ipv4" ? "IPv4" : "IPv6";
  const example = family === "ipv4" ? "192.0.2.5/24" : "2001:db8::5/64";
  const schema = prefixedAddress.refine(
    (each) => addressFamily(each) === family,
    `expected an ${name} address, like ${example}`,
  );
  const address = await askField(
    asking,
    `${name} address with prefix length, like ${example}`,
    schema,
    before.addresses[0],
  );
  const gateways = addressSchema.refine((each) => addressFamily(each) === family, `expected an ${name} address`);
  const gateway = await ask<string | undefined>(asking, {
    text: `${name} gateway (- for none)`,
    preset: before.gateway ?? "-",
    read: (typed) => {
      if (typed === "-") return { answer: undefined };
      const result = gateways.safeParse(typed);
      return result.success
        ? { answer: result.data }
        : { complaint: result.error.issues[0]?.message ?? "expected an address" };
    },
  });
  return { method, addresses: [address], gateway };
}

async function askPassword({ terminal, signal }: Asking): Promise<string> {
  terminal.write("\nThe administrator's name is admin. At least 10 characters; they do not show.\n");
  for (;;) {
    const password = await terminal.askSecret("Password for admin: ", signal);
    const [complaint] = checkPassword(password, "admin");
    if (complaint !== undefined) {
      terminal.write(`  Please another one: ${complaint}.\n`);
      continue;
    }
    if ((await terminal.askSecret("The same again: ", signal)) === password) return password;
    terminal.write("  These were not the same. Please begin again.\n");
  }
}
