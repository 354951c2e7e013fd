import { checkPassword } from "../access/password-policy.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import type { BondProposal } from "../network/propose-bonds.ts";
import type { AnswersInput } from "./schema.ts";

/** What a person has answered so far, on either kind of terminal. */

/** Settings of one family as the person gave them; kept as presets for the next round. */
export type Family<Method extends string> = { method: Method; addresses: string[]; gateway?: string | undefined };

/** A bond that the person wants: proposed by the cabling, or put together by hand. */
export type PlannedBond = Pick<BondProposal, "name" | "mode" | "members">;

export type Draft = {
  hostname: string;
  /** The card for management; a bond it is a member of takes its place. */
  interface: string | undefined;
  bonds: PlannedBond[];
  /** Members of proposals that were declined, as {@link keyOf} spells them. */
  declined: string[];
  /** Of the management network, when its frames are tagged. */
  vlan: number | undefined;
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
  bonds: [],
  declined: [],
  vlan: undefined,
  ipv4: { method: "dhcp", addresses: [] },
  ipv6: { method: "none", addresses: [] },
  dns: [],
  ssh: false,
  sshKeys: [],
  timeZone: "UTC",
};

export function keyOf({ members }: Pick<PlannedBond, "members">): string {
  return members.join(" ");
}

/** The links under the management address: the card or bond, and the VLAN on it. */
export function managementOf({ interface: card = "", bonds, vlan }: Draft): {
  name: string;
  base: string;
  bond: PlannedBond | undefined;
} {
  const bond = bonds.find(({ members }) => members.includes(card));
  const base = bond?.name ?? card;
  return { name: vlan === undefined ? base : `vlan${vlan}`, base, bond };
}

export function describeBond({ name, mode, members }: PlannedBond): string {
  return `${name}, ${mode} of ${members.join(", ")}`;
}

/** The password is empty when there is only a key. */
export function summarize(draft: Draft, password = "set"): string {
  const { hostname, bonds, ipv4, ipv6, dns, ssh, sshKeys, timeZone } = draft;
  const { name, base } = managementOf(draft);
  const family = ({ method, addresses, gateway }: Family<string>) =>
    method === "static" ? `${addresses.join(", ")}, gateway ${gateway ?? "none"}` : method;
  const means = [...(sshKeys.length > 0 ? ["key"] : []), ...(password === "" ? [] : ["password"])];
  return [
    ["Host name", hostname],
    ["Management", name === base ? name : `${name} on ${base}`],
    ...bonds.map((bond, at) => [at === 0 ? "Bonds" : "", describeBond(bond)]),
    ["IPv4", family(ipv4)],
    ["IPv6", family(ipv6)],
    ["DNS", dns.join(", ") || "none"],
    ["SSH", ssh ? `on, with ${means.join(" and ")}` : "off"],
    ["Password", password === "" ? "none, the SSH key alone" : "set"],
    ...(timeZone === "UTC" ? [] : [["Time zone", timeZone]]),
  ]
    .map(([label = "", value]) => `  ${label.padEnd(12)}${value}\n`)
    .join("");
}

export function toAnswers(draft: Draft, password: string): AnswersInput {
  const { name, base } = managementOf(draft);
  const addresses = { ipv4: draft.ipv4, ipv6: draft.ipv6 };
  const bonds = draft.bonds.map((bond) => [
    bond.name,
    { kind: "bond" as const, bond: settingsOf(bond), ...(bond.name === name ? addresses : {}) },
  ]);
  const vlan =
    draft.vlan === undefined ? {} : { [name]: { kind: "vlan", vlan: { parent: base, id: draft.vlan }, ...addresses } };
  const card = name === draft.interface ? { [name]: addresses } : {};
  return {
    version: 1,
    admin: { ...(password === "" ? {} : { password }), sshKeys: draft.sshKeys },
    system: {
      hostname: draft.hostname,
      dns: { servers: draft.dns },
      timeZone: draft.timeZone,
      management: { interfaces: [name] },
      ssh: { enabled: draft.ssh, passwordAuthentication: draft.ssh && password !== "" },
    },
    interfaces: { ...Object.fromEntries(bonds), ...vlan, ...card } as AnswersInput["interfaces"],
  };
}

/** A load balancer's connections differ by port more than by address. */
function settingsOf({ mode, members }: PlannedBond) {
  return { mode, members, ...(mode === "802.3ad" ? { transmitHashPolicy: "layer3+4" as const } : {}) };
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
