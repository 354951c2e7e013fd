import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import { user } from "../access/schema.ts";
import { addressFamily, address as addressSchema, hostName, prefixedAddress } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import type { LinkStatus } from "../network/status.ts";
import { complainOfPassword, type Draft, describeFailure, emptyDraft, summarize, toAnswers } from "./draft.ts";
import { type Prompts, WentBack } from "./prompts.ts";
import type { AnswersInput } from "./schema.ts";

/** The first-boot questions as screens: Enter goes on, Escape goes back, and nothing is done before the last one says so. */

type Link = Pick<LinkStatus, "name" | "mac" | "driver" | "carrier" | "speed"> & Partial<Pick<LinkStatus, "neighbour">>;

export type ScreensOptions = {
  prompts: Prompts;
  readLinks(): Promise<readonly Link[]>;
  /** Tries the addresses for a moment and says what answers, a line each. */
  testNetwork(draft: Draft): Promise<string[]>;
  /** Commits the answers; throws what the commit says. */
  complete(answers: AnswersInput): Promise<void>;
  /** Milliseconds between two looks at the links. */
  interval?: number;
};

type Given = { draft: Draft; password: string; again?: boolean };
type Step = (options: ScreensOptions, given: Given) => Promise<Given>;

export async function runScreens(options: ScreensOptions): Promise<void> {
  const steps: Step[] = [
    askHostname,
    askInterface,
    askIpv4,
    askIpv6,
    askDns,
    testNetwork,
    askPassword,
    askSsh,
    askTimeZone,
  ];
  let given: Given = { draft: emptyDraft, password: "" };
  for (let at = 0; ; ) {
    const step = steps[at];
    try {
      if (!step) {
        if (await apply(options, given)) return;
        at = 0;
        continue;
      }
      given = await step(options, given);
      at += 1;
    } catch (error) {
      if (!(error instanceof WentBack)) throw error;
      at = Math.max(0, at - 1);
    }
  }
}

const title = (number: number, what: string) => `first boot, ${number} of 10: ${what}`;
const keys = "Enter goes on, Escape goes back.";

/** What a schema has against a text, as a sentence. */
function complain(schema: z.ZodType, typed: unknown): string | undefined {
  const result = schema.safeParse(typed);
  if (result.success) return undefined;
  const words = result.error.issues[0]?.message ?? "expected something else";
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}

const askHostname: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(1, "name"), [
    "This appliance has no configuration yet. Ten screens make the first one; the",
    `rest is done over the API. ${keys}`,
  ]);
  const hostname = await prompts.text("Host name", draft.hostname, (typed) => complain(hostName, typed.trim()));
  return { ...rest, draft: { ...draft, hostname } };
};

/** Lights change while somebody plugs in a cable to find out which port it is, so the list is drawn anew when they do. */
const askInterface: Step = async ({ prompts, readLinks, interval = 2_000 }, { draft, ...rest }) => {
  for (;;) {
    const links = await readLinks();
    prompts.screen(title(2, "management interface"), [
      "Which card is the box managed by? Lights are shown as they change:",
      `plug in a cable to find its port. ${keys}`,
    ]);
    if (links.length === 0) {
      await prompts.confirm("No network interface was found. Look again?", true);
      continue;
    }
    const first = links.find(({ carrier }) => carrier) ?? links[0];
    const chosen = links.find(({ name }) => name === draft.interface) ?? first;
    const changed = new AbortController();
    const done = new AbortController();
    const watching = watchLinks(readLinks, links, interval, changed, done.signal);
    try {
      const choices = links.map((link) => ({ value: link.name, label: describeLink(link) }));
      const name = await prompts.choose("Management interface", choices, chosen?.name, changed.signal);
      return { ...rest, draft: { ...draft, interface: name } };
    } catch (error) {
      if (!(error instanceof WentBack) || !changed.signal.aborted) throw error;
    } finally {
      done.abort();
      await watching;
    }
  }
};

async function watchLinks(
  readLinks: ScreensOptions["readLinks"],
  before: readonly Link[],
  interval: number,
  changed: AbortController,
  done: AbortSignal,
): Promise<void> {
  const shown = before.map(describeLink).join();
  while (!done.aborted) {
    await sleep(interval, undefined, { signal: done }).catch(() => undefined);
    if (done.aborted) return;
    const now = await readLinks().catch(() => before);
    if (now.map(describeLink).join() !== shown) return changed.abort();
  }
}

/** `[*] nic0   up 1000   52:54:00:5e:00:01 virtio_net  switch1 port 7`: at most 70 columns. */
function describeLink({ name, mac, driver, carrier, speed, neighbour }: Link): string {
  const light = carrier ? "[*]" : "[ ]";
  const state = carrier ? (speed === undefined ? "up" : `up ${speed}`) : "no link";
  const cells = [
    light,
    name.padEnd(8),
    state.padEnd(9),
    (mac ?? "-").padEnd(17),
    (driver ?? "-").padEnd(10),
    neighbour ? `${neighbour.system ?? neighbour.chassis} ${neighbour.port}` : "",
  ];
  return cells.join(" ").trimEnd().slice(0, 70);
}

function askFamily(number: number, family: "ipv4" | "ipv6"): Step {
  const name = family === "ipv4" ? "IPv4" : "IPv6";
  const own = <Schema extends z.ZodType<string>>(schema: Schema, like: string) =>
    schema.refine((each) => addressFamily(each) === family, `expected an ${name} address, like ${like}`);
  const addresses = own(prefixedAddress, family === "ipv4" ? "192.0.2.5/24" : "2001:db8::5/64");
  const gateways = own(addressSchema, family === "ipv4" ? "192.0.2.1" : "2001:db8::1");
  return async ({ prompts }, { draft, ...rest }) => {
    prompts.screen(title(number, name), [`Of ${draft.interface ?? ""}. ${keys}`]);
    const learned = family === "ipv4" ? ("dhcp" as const) : ("automatic" as const);
    const label = family === "ipv4" ? "from DHCP" : "from router advertisements and DHCPv6";
    const choices = [
      { value: learned, label },
      { value: "static" as const, label: "static" },
      { value: "none" as const, label: "none" },
    ];
    const before = draft[family];
    const method = await prompts.choose(`${name} address`, choices, before.method);
    if (method !== "static") return { ...rest, draft: { ...draft, [family]: { method, addresses: [] } } };
    const typed = (text: string) => text.trim();
    const question = `${name} address with prefix length`;
    const address = await prompts.text(question, before.addresses[0] ?? "", (text) => complain(addresses, typed(text)));
    const gateway = await prompts.text(`${name} gateway (empty for none)`, before.gateway ?? "", (text) =>
      typed(text) === "" ? undefined : complain(gateways, typed(text)),
    );
    const settings = { method, addresses: [address], ...(gateway === "" ? {} : { gateway }) };
    return { ...rest, draft: { ...draft, [family]: settings } };
  };
}

const askIpv4 = askFamily(3, "ipv4");
const askIpv6 = askFamily(4, "ipv6");

const askDns: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(5, "DNS"), [
    "Addresses of resolvers with blanks between, or empty: those of DHCP and",
    `router advertisements. ${keys}`,
  ]);
  const split = (text: string) => text.split(/[\s,]+/).filter((each) => each !== "");
  const text = await prompts.text("DNS servers", draft.dns.join(" "), (typed) => {
    const wrong = split(typed).find((each) => complain(addressSchema, each) !== undefined);
    return wrong === undefined ? undefined : `${wrong}: expected an IPv4 or IPv6 address`;
  });
  return { ...rest, draft: { ...draft, dns: split(text) } };
};

const testNetwork: Step = async ({ prompts, testNetwork: run }, given) => {
  for (;;) {
    prompts.screen(title(6, "test"), [
      "Trying the addresses, the gateway and DNS. Nothing is kept of it.",
      "This takes up to a minute ...",
    ]);
    const found = await run(given.draft);
    prompts.screen(title(6, "test"), found);
    const next = await prompts.choose("And now?", [
      { value: "on", label: "go on" },
      { value: "again", label: "test again" },
      { value: "back", label: "change the network" },
    ]);
    if (next === "on") return given;
    if (next === "back") throw new WentBack();
  }
};

const askPassword: Step = async ({ prompts }, given) => {
  prompts.screen(title(7, "password"), ["The administrator's name is admin. At least 10 characters.", keys]);
  const password = await prompts.secret("Password for admin", complainOfPassword);
  await prompts.secret("The same again", (typed) => (typed === password ? undefined : "These were not the same"));
  return { ...given, password };
};

const askSsh: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(8, "SSH"), [
    "On the management interface. Without it, the box is managed over HTTPS and",
    `from here. ${keys}`,
  ]);
  const ssh = await prompts.confirm("Switch SSH on?", draft.ssh);
  if (!ssh) return { ...rest, draft: { ...draft, ssh, sshKeys: [] } };
  const list = user.shape.sshKeys;
  const key = await prompts.text("SSH key of admin (empty for the password alone)", draft.sshKeys[0] ?? "", (typed) =>
    typed.trim() === "" ? undefined : complain(list, [typed.trim()]),
  );
  return { ...rest, draft: { ...draft, ssh, sshKeys: key === "" ? [] : [key] } };
};

const askTimeZone: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(9, "time zone"), ["Of logs on the box. Type a part of its name, the arrows choose.", keys]);
  const zones = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((each) => each !== "UTC")];
  const timeZone = await prompts.search("Time zone", zones, draft.timeZone);
  return { ...rest, draft: { ...draft, timeZone } };
};

/** True when the box has its configuration; false begins again with the answers as presets. */
async function apply({ prompts, complete }: ScreensOptions, { draft, password }: Given): Promise<boolean> {
  prompts.screen(title(10, "summary"), summarize(draft).trimEnd().split("\n"));
  const next = await prompts.choose("Use these settings?", [
    { value: "apply", label: "apply" },
    { value: "change", label: "go through them again" },
  ]);
  if (next === "change") return false;
  prompts.screen("first boot", ["Applying the settings. This can take a minute."]);
  try {
    await complete(toAnswers(draft, password));
    return true;
  } catch (error) {
    if (error instanceof SteelyardError && error.code === "exists") throw error;
    prompts.screen("first boot", ["The settings could not be used:", ...describeFailure(error).trimEnd().split("\n")]);
    await prompts.choose("And now?", [{ value: "again", label: "change them" }]);
    return false;
  }
}
