import { addressFamily, canonicalAddress, hostName, isAddress } from "../../configuration/fields.ts";
import { type System, system as systemSchema } from "../../system/schema.ts";
import type { Draft } from "./draft.ts";
import { parseGlobalSettings } from "./formats.ts";
import type { DefaultGateways } from "./interfaces.ts";
import { type Item, takenOrChanged } from "./report.ts";
import { readText } from "./source.ts";

/** `global.conf` and the few files of the system that a backup has: host name, resolvers, time servers. */

export function readSettings(draft: Draft): DefaultGateways {
  const text = readText(draft.source.configuration, "global.conf");
  const settings = parseGlobalSettings(text ?? "");
  if (text !== undefined) readGlobalSettings(draft, settings);
  readHostName(draft);
  readResolver(draft);
  return findDefaultGateways(settings);
}

/** Tries a change of the system's settings; false, with the words of its schema as notes, when the value is not valid here. */
function change(draft: Draft, notes: string[], make: (system: System) => System): boolean {
  const changed = systemSchema.safeParse(make(draft.candidate.system));
  if (changed.success) draft.candidate.system = changed.data;
  else notes.push(...changed.error.issues.map(({ message }) => message));
  return changed.success;
}

function reportSetting(draft: Draft, item: Omit<Item, "kind" | "result">, done: boolean): void {
  const { target, ...rest } = item;
  const result = done ? takenOrChanged(item.notes) : "not-supported";
  draft.report.push({ kind: "setting", ...rest, result, ...(done && target !== undefined ? { target } : {}) });
}

function readGlobalSettings(draft: Draft, settings: ReadonlyMap<string, string>): void {
  const source = draft.source.pathOf("global.conf");
  draft.seen.add("global.conf");
  const server = settings.get("ntp") ?? "";
  if (server !== "") {
    const servers = server.split(/[\s,]+/).filter((each) => each !== "");
    const notes: string[] = [];
    const done = change(draft, notes, (system) => ({ ...system, ntp: { servers } }));
    reportSetting(draft, { name: `time server ${server}`, source, target: "system.ntp", notes }, done);
  }
  for (const key of ["http_proxy", "https_proxy"]) readProxy(draft, key, settings.get(key) ?? "", source);
  for (const [key, words] of Object.entries(notTaken)) {
    const value = settings.get(key) ?? "";
    if (value !== "" && value !== "false" && value !== asDelivered[key])
      reportSetting(draft, { name: `$${key}`, source, notes: [words] }, false);
  }
  reportSetting(
    draft,
    {
      name: "the other settings of global.conf",
      source,
      notes: ["paths and programs of the product: they have no meaning here"],
    },
    false,
  );
}

/** One proxy serves both here: that of HTTP, or else that of HTTPS. */
function readProxy(draft: Draft, key: string, text: string, source: string): void {
  if (text === "") return;
  const url = /^\w+:\/\//.test(text) ? text : `http://${text}`;
  const present = draft.candidate.system.proxy.url;
  const isSecond = key === "https_proxy" && draft.report.some(({ name, target }) => name === "$http_proxy" && target);
  const notes = isSecond && present !== url ? ["that of http_proxy is taken for both"] : [];
  const done = notes.length === 0 && change(draft, notes, (system) => ({ ...system, proxy: { ...system.proxy, url } }));
  // It may carry a password, so its name alone is told.
  reportSetting(draft, { name: `$${key}`, source, target: "system.proxy", notes }, done);
}

/** Settings an operator makes. Their values may be secret, so only their names are told. */
const notTaken: Record<string, string> = {
  zapikey: "keys of the API are made anew: scripts need a new one and the new API",
  routeparams: "parameters of routes cannot be set",
  duplicated_net: "one network on several interfaces has no setting: a warning tells of it",
  l4xnat_sip_params: "there is no helper for SIP yet",
  arp_unsolicited: "addresses are announced when they come up, always",
  arp_announce: "addresses are announced when they come up, always",
  session_timeout: "how long a login lasts stays as it is here: steelyard access settings set",
  le_email: "accounts of Let's Encrypt are set up anew",
  full_farm_logs: "connections of farms are not logged",
  ipv6_enabled: "addresses of both families work without being switched on",
  mark_routing_L7: "marks of routing are this box's own",
  proxy_ng: "which proxy serves HTTP farms is not a setting here",
  waf_max_body: "rules of protection are set up anew",
};

/** As the product comes: nobody set it. */
const asDelivered: Record<string, string> = { session_timeout: "30", waf_max_body: "32000" };

function readHostName(draft: Draft): void {
  const found = findSystemFile(draft, "etc/hostname");
  if (!found) return;
  const wanted = found.text.trim();
  const notes: string[] = [];
  const done =
    hostName.safeParse(wanted).success && change(draft, notes, (system) => ({ ...system, hostname: wanted }));
  if (!done && notes.length === 0) notes.push("expected a host name of letters, digits and hyphens");
  reportSetting(draft, { name: `host name ${wanted}`, source: found.path, target: "system.hostname", notes }, done);
}

/** resolv.conf(5) */
function readResolver(draft: Draft): void {
  const found = findSystemFile(draft, "etc/resolv.conf");
  if (!found) return;
  const lines = found.text.split("\n").map((line) => line.trim().split(/\s+/));
  const values = (...names: string[]) => lines.flatMap(([name = "", ...rest]) => (names.includes(name) ? rest : []));
  const given = values("nameserver");
  const notes = given.filter((each) => !isAddress(each)).map((each) => `${JSON.stringify(each)} is no address`);
  const servers = given.filter(isAddress).map(canonicalAddress);
  const search = [...new Set(values("search", "domain"))].filter((each) => each !== ".");
  const done = change(draft, notes, (system) => ({ ...system, dns: { ...system.dns, servers, search } }));
  reportSetting(
    draft,
    { name: `name servers ${given.join(" ")}`, source: found.path, target: "system.dns", notes },
    done,
  );
}

function findSystemFile({ source }: Draft, wanted: string): { path: string; text: string } | undefined {
  for (const path of source.system.keys())
    if (path === wanted || path.endsWith(`/${wanted}`)) return { path, text: readText(source.system, path) ?? "" };
  return undefined;
}

function findDefaultGateways(settings: ReadonlyMap<string, string>): DefaultGateways {
  const gateways: DefaultGateways = {};
  for (const [gatewayKey, interfaceKey] of [
    ["defaultgw", "defaultgwif"],
    ["defaultgw6", "defaultgwif6"],
  ] as const) {
    const gateway = settings.get(gatewayKey) ?? "";
    const name = settings.get(interfaceKey) ?? "";
    if (isAddress(gateway) && name !== "") gateways[addressFamily(gateway)] = { gateway, interface: name };
  }
  return gateways;
}
