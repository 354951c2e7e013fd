import { checkPassword } from "../access/password-policy.ts";
import { user } from "../access/schema.ts";
import { addressFamily, address as addressSchema, hostName, prefixedAddress } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import {
  type Draft,
  describeBond,
  describeFailure,
  emptyDraft,
  type Family,
  keyOf,
  managementOf,
  summarize,
  toAnswers,
} from "./draft.ts";
import type { Trial } from "./keep.ts";
import { fold } from "./prompts.ts";
import { type Asking, ask, askChoice, askField, askList, askYesNo, check } from "./questions.ts";
import { vlanId } from "./screens-links.ts";
import type { ScreensOptions } from "./steps.ts";
import type { Terminal } from "./terminal.ts";
import { keepOrTakeBack } from "./wizard-keep.ts";

export type WizardOptions = Omit<ScreensOptions, "prompts"> & {
  terminal: Terminal;
  /** Rejects every question when somebody else has answered. */
  signal?: AbortSignal;
};

/**
 * The questions line by line, for a terminal that knows no cursor (TERM=dumb, steelyard.console=plain); see screens.ts for the others.
 * Asks for what the box must know before it can be managed, shows it, and commits it; again until that has
 * worked and somebody has said that it stays.
 */
export async function runWizard(options: WizardOptions): Promise<void> {
  const { terminal, signal, complete } = options;
  const asking = { terminal, signal };
  terminal.write("\nThis appliance has no configuration yet. Some questions make the first one;\n");
  terminal.write("the rest is done over the API. Enter takes what stands in brackets.\n");
  let draft: Draft = emptyDraft;
  for (;;) {
    draft = await askDraft(asking, draft, options);
    if (await askYesNo(asking, "Try the network now, which takes up to a minute", true)) {
      const found = await options.testNetwork(draft);
      terminal.write(found.map((line) => `  ${line}\n`).join(""));
    }
    const password = await askPassword(asking, draft);
    terminal.write(`\n${summarize(draft, password)}\n`);
    if (!(await askYesNo(asking, "Use these settings", true))) continue;
    terminal.write("Applying the settings. This can take a minute.\n");
    let trial: Trial;
    try {
      trial = await complete(toAnswers(draft, password));
    } catch (error) {
      if (error instanceof SteelyardError && error.code === "exists") throw error;
      terminal.write(`\nThe settings could not be used:\n${describeFailure(error)}\nPlease answer again.\n`);
      continue;
    }
    if (await keepOrTakeBack(asking, trial, options.interval)) return;
    terminal.write("\nThe settings were taken back. Please answer again.\n");
  }
}

async function askDraft(asking: Asking, before: Draft, options: WizardOptions): Promise<Draft> {
  asking.terminal.write("\n");
  const hostname = await askField(asking, "Host name", hostName, before.hostname);
  const name = await askInterface(asking, before.interface, options.readLinks);
  const chosen = { ...before, hostname, interface: name };
  const linked = { ...chosen, ...(await askBonds(asking, chosen, options)) };
  const vlan = await askVlan(asking, linked);
  const management = managementOf({ ...linked, vlan }).name;
  const ipv4Method = await askChoice(asking, "IPv4 address by", ["dhcp", "static", "none"], before.ipv4.method);
  const ipv4 = await askFamily(asking, "ipv4", ipv4Method, before.ipv4);
  const ipv6Method = await askChoice(asking, "IPv6 address by", ["automatic", "static", "none"], before.ipv6.method);
  const ipv6 = await askFamily(asking, "ipv6", ipv6Method, before.ipv6);
  const dns = await askList(asking, "DNS servers", addressSchema, before.dns);
  const ssh = await askYesNo(asking, `SSH on ${management}`, before.ssh);
  const sshKeys = ssh ? await askKey(asking, before.sshKeys[0]) : [];
  const timeZone = await askTimeZone(asking, before.timeZone);
  return { ...linked, vlan, ipv4, ipv6, dns, ssh, sshKeys, timeZone };
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
  const rows = links.map(({ name, mac, driver, carrier, speed, neighbour }, at) => {
    const light = carrier ? (speed ? `${speed} Mbit/s` : "up") : "no link";
    const switchPort = neighbour ? `\n      at ${neighbour.system ?? neighbour.chassis} ${neighbour.port}` : "";
    return row([String(at + 1), name, mac ?? "-", driver ?? "-", light]) + switchPort.slice(0, 78);
  });
  return [row(["#", "name", "MAC", "driver", "link"]), ...rows].map((line) => `${line}\n`).join("");
}

/** What the cabling suggests, each with its reason. */
async function askBonds(
  asking: Asking,
  before: Draft,
  { readLinks, proposeBonds }: WizardOptions,
): Promise<Pick<Draft, "bonds" | "declined">> {
  if ((await readLinks()).filter(({ carrier }) => carrier).length < 2) return { bonds: [], declined: [] };
  asking.terminal.write("Listening for switches that offer a bond (LACP), for half a minute ...\n");
  const proposals = await proposeBonds(31).catch(() => []);
  if (proposals.length === 0) asking.terminal.write("The cabling suggests no bond.\n");
  const [bonds, declined]: [Draft["bonds"], string[]] = [[], []];
  for (const proposal of proposals) {
    const { name, mode, members, reason } = proposal;
    asking.terminal.write(
      `\n${fold(`${reason}.`)
        .map((line) => `  ${line}\n`)
        .join("")}`,
    );
    const preset = !before.declined.includes(keyOf(proposal));
    if (await askYesNo(asking, `Make the bond ${describeBond(proposal)}`, preset)) bonds.push({ name, mode, members });
    else declined.push(keyOf(proposal));
  }
  return { bonds, declined };
}

async function askVlan(asking: Asking, draft: Draft): Promise<number | undefined> {
  return await ask<number | undefined>(asking, {
    text: `VLAN tag of the management network on ${managementOf(draft).base} (- for none)`,
    preset: draft.vlan === undefined ? "-" : String(draft.vlan),
    read: (typed) => (typed === "-" ? { answer: undefined } : check(vlanId, typed)),
  });
}

async function askKey(asking: Asking, before: string | undefined): Promise<string[]> {
  return await ask(asking, {
    text: "SSH key of admin (- for the password alone)",
    preset: before ?? "-",
    read: (typed) => check(user.shape.sshKeys, typed === "-" ? [] : [typed]),
  });
}

async function askTimeZone(asking: Asking, before: string): Promise<string> {
  const zones = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  return await ask(asking, {
    text: "Time zone",
    preset: before,
    read: (typed) => {
      const found = zones.find((zone) => zone.toLowerCase() === typed.toLowerCase());
      if (found !== undefined) return { answer: found };
      const like = zones.filter((zone) => zone.toLowerCase().includes(typed.toLowerCase())).slice(0, 4);
      return { complaint: `expected a time zone like ${like.length > 0 ? like.join(", ") : "Europe/Berlin"}` };
    },
  });
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
    read: (typed) => (typed === "-" ? { answer: undefined } : check(gateways, typed)),
  });
  return { method, addresses: [address], gateway };
}

/** Empty when a key was given, and nothing is typed. */
async function askPassword({ terminal, signal }: Asking, { sshKeys }: Draft): Promise<string> {
  terminal.write("\nThe administrator's name is admin. At least 10 characters; they do not show.\n");
  if (sshKeys.length > 0) terminal.write("Nothing: no password, the SSH key alone. The login here needs one.\n");
  for (;;) {
    const password = await terminal.askSecret("Password for admin: ", signal);
    if (password === "" && sshKeys.length > 0) return "";
    const [complaint] = checkPassword(password, "admin");
    if (complaint !== undefined) {
      terminal.write(`  Please another one: ${complaint}.\n`);
      continue;
    }
    if ((await terminal.askSecret("The same again: ", signal)) === password) return password;
    terminal.write("  These were not the same. Please begin again.\n");
  }
}
