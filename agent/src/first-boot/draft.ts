import { checkPassword } from "../access/password-policy.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import type { AnswersInput } from "./schema.ts";

/** What a person has answered so far, on either kind of terminal. */

/** Settings of one family as the person gave them; kept as presets for the next round. */
export type Family<Method extends string> = { method: Method; addresses: string[]; gateway?: string | undefined };

export type Draft = {
  hostname: string;
  interface: string | undefined;
  ipv4: Family<"dhcp" | "static" | "none">;
  ipv6: Family<"automatic" | "static" | "none">;
  dns: string[];
  ssh: boolean;
  sshKeys: string[];
  timeZone: string;
};

export const emptyDraft: Draft = {
  hostname: "steelyard",
  interface: undefined,
  ipv4: { method: "dhcp", addresses: [] },
  ipv6: { method: "none", addresses: [] },
  dns: [],
  ssh: false,
  sshKeys: [],
  timeZone: "UTC",
};

export function summarize({ hostname, interface: name, ipv4, ipv6, dns, ssh, sshKeys, timeZone }: Draft): string {
  const family = ({ method, addresses, gateway }: Family<string>) =>
    method === "static" ? `${addresses.join(", ")}, gateway ${gateway ?? "none"}` : method;
  const ways = sshKeys.length > 0 ? "on, with key and password" : "on, with password";
  return [
    ["Host name", hostname],
    ["Management", name ?? ""],
    ["IPv4", family(ipv4)],
    ["IPv6", family(ipv6)],
    ["DNS", dns.join(", ") || "none"],
    ["SSH", ssh ? ways : "off"],
    ["Password", "set"],
    ...(timeZone === "UTC" ? [] : [["Time zone", timeZone]]),
  ]
    .map(([label = "", value]) => `  ${label.padEnd(12)}${value}\n`)
    .join("");
}

export function toAnswers(draft: Draft, password: string): AnswersInput {
  const name = draft.interface ?? "";
  return {
    version: 1,
    admin: { password, sshKeys: draft.sshKeys },
    system: {
      hostname: draft.hostname,
      dns: { servers: draft.dns },
      timeZone: draft.timeZone,
      management: { interfaces: [name] },
      ssh: { enabled: draft.ssh, passwordAuthentication: draft.ssh },
    },
    interfaces: { [name]: { ipv4: draft.ipv4, ipv6: draft.ipv6 } },
  };
}

export function describeFailure(error: unknown): string {
  const problems = error instanceof SteelyardError ? error.problems : [];
  if (problems.length === 0) return `  ${messageOf(error)}\n`;
  return problems.map(({ path, message }) => `  ${path === "" ? "" : `${path}: `}${message}\n`).join("");
}

/** A sentence that says what is wrong with it; undefined when nothing is. */
export function complainOfPassword(password: string): string | undefined {
  const [complaint] = checkPassword(password, "admin");
  return complaint === undefined ? undefined : `${complaint.charAt(0).toUpperCase()}${complaint.slice(1)}`;
}
