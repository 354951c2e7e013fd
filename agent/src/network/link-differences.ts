import { isDeepStrictEqual } from "node:util";
import type { LinkAttributes } from "../adapters/link-info.ts";
import type { LinkArtefact } from "./render-netdev.ts";

/** What of a link differs from what is wanted, and what of that the kernel changes while the link works. Pure. */

export type Difference = { attribute: string; now: LinkAttributes[string] | undefined; wanted: LinkAttributes[string] };

/**
 * Options of ip-link(8) for attributes that a working link takes (drivers/net/bonding/bond_options.c: neither IFDOWN nor
 * NOSLAVES; bridge: br_netlink.c). Everything else means that the link is made anew.
 */
const changeable: Record<string, string> = {
  miiInterval: "miimon",
  upDelay: "updelay",
  downDelay: "downdelay",
  arpInterval: "arp_interval",
  arpTargets: "arp_ip_target",
  arpValidate: "arp_validate",
  arpAllTargets: "arp_all_targets",
  primary: "primary",
  primaryReselect: "primary_reselect",
  transmitHashPolicy: "xmit_hash_policy",
  gratuitousCount: "num_grat_arp",
  minLinks: "min_links",
  stp: "stp_state",
};

/** Attributes that are wanted otherwise. `present` says whether a link is there: a bond cannot prefer a card that is not. */
export function compareLinks(
  now: LinkAttributes,
  wanted: LinkAttributes,
  present: (name: string) => boolean = () => true,
): Difference[] {
  return Object.entries(wanted).flatMap(([attribute, value]) => {
    if (isDeepStrictEqual(now[attribute], value)) return [];
    if (attribute === "primary" && value !== "" && !present(String(value))) return [];
    return [{ attribute, now: now[attribute], wanted: value }];
  });
}

/** True when the link has to be removed and made anew. */
export function needsRemaking(now: LinkArtefact, wanted: LinkArtefact): boolean {
  if (now.kind !== wanted.kind) return true;
  return compareLinks(now.attributes, wanted.attributes).some(({ attribute }) => !Object.hasOwn(changeable, attribute));
}

/** The words of ip-link(8) that bring about the differences that can be; none when there are none. */
export function changeWords(differences: readonly Difference[]): string[] {
  return differences.flatMap(({ attribute, wanted }) => {
    const option = Object.hasOwn(changeable, attribute) ? changeable[attribute] : undefined;
    if (option === undefined) return [];
    return [option, wordOf(attribute, wanted)];
  });
}

function wordOf(attribute: string, value: LinkAttributes[string]): string {
  if (attribute === "arpAllTargets") return value === true ? "all" : "any";
  if (typeof value === "boolean") return value ? "1" : "0";
  return Array.isArray(value) ? value.join(",") : String(value);
}

/** `mode active-backup -> 802.3ad`. */
export function describeDifference({ attribute, now, wanted }: Difference): string {
  const show = (value: LinkAttributes[string] | undefined) =>
    value === undefined || value === "" ? "none" : Array.isArray(value) ? value.join(",") : String(value);
  return `${attribute} ${show(now)} -> ${show(wanted)}`;
}
