import { formatAddress, formatHardwareAddress, parseAttributes } from "./netlink-codec.ts";

/**
 * What IFLA_LINKINFO says of a bond, VLAN, bridge or VRF, and of a link that belongs to one (linux/if_link.h). Words and units are
 * those of the configuration: milliseconds, and the names of systemd.netdev(5).
 */

/** Attributes of a virtual link by name. Links named by index in the kernel are named here: see {@link LinkInfo.references}. */
export type LinkAttributes = Record<string, string | number | boolean | string[]>;

export type LinkInfo = {
  attributes: LinkAttributes;
  /** Attributes whose value is the index of another link. */
  references: Record<string, number>;
};

/** A link as member of a bond. */
export type BondMember = {
  state: "active" | "backup";
  mii: "up" | "going-down" | "down" | "going-up";
  /** How often its carrier was lost since it is a member. */
  failures: number;
  /** The group of members it was sorted into by LACP. */
  aggregator: number | undefined;
};

/** The partner at the other end of an 802.3ad bond. */
export type LacpPartner = { aggregator: number; ports: number; mac: string | undefined };

/** In the order of their numbers in the kernel (linux/if_bonding.h). */
export const bondModes = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
] as const;
const hashPolicies = ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"] as const;
const validations = ["none", "active", "backup", "all"] as const;

type Reader = (value: Buffer) => string | number | boolean | string[] | undefined;

const small: Reader = (value) => value.readUInt8(0);
const long: Reader = (value) => value.readUInt32LE(0);
const word =
  (words: readonly string[]): Reader =>
  (value) =>
    words[value.length >= 4 ? value.readUInt32LE(0) : value.readUInt8(0)];
/** `arp_ip_target`: nested attributes, one address each. */
const addressList: Reader = (value) => [...parseAttributes(value).values()].map((each) => formatAddress(each));

/** IFLA_BOND_*. */
const bondReaders: Record<number, [string, Reader]> = {
  1: ["mode", word(bondModes)],
  3: ["miiInterval", long],
  4: ["upDelay", long],
  5: ["downDelay", long],
  7: ["arpInterval", long],
  8: ["arpTargets", addressList],
  9: ["arpValidate", word(validations)],
  10: ["arpAllTargets", (value) => value.readUInt32LE(0) === 1],
  12: ["primaryReselect", word(["always", "better", "failure"])],
  13: ["failOverMac", word(["none", "active", "follow"])],
  14: ["transmitHashPolicy", word(hashPolicies)],
  16: ["gratuitousCount", small],
  18: ["minLinks", long],
  21: ["lacpRate", word(["slow", "fast"])],
  22: ["aggregatorSelect", word(["stable", "bandwidth", "count"])],
};
/** IFLA_BOND_ACTIVE_SLAVE, IFLA_BOND_PRIMARY, IFLA_BOND_AD_INFO. */
const bondActive = 2;
const bondPrimary = 11;
const bondLacp = 23;

/** IFLA_VLAN_ID, and IFLA_VLAN_PROTOCOL as EtherType in network byte order. */
const vlanReaders: Record<number, [string, Reader]> = {
  1: ["id", (value) => value.readUInt16LE(0)],
  5: ["protocol", (value) => ({ 33024: "802.1Q", 34984: "802.1ad" })[value.readUInt16BE(0)]],
};

/** IFLA_BR_STP_STATE: 0 off, 1 the kernel's, 2 a daemon's. */
const bridgeReaders: Record<number, [string, Reader]> = {
  5: ["stp", (value) => value.readUInt32LE(0) !== 0],
};

/** IFLA_VRF_TABLE. */
const vrfReaders: Record<number, [string, Reader]> = { 1: ["table", long] };

const readers: Record<string, Record<number, [string, Reader]>> = {
  bond: bondReaders,
  vlan: vlanReaders,
  bridge: bridgeReaders,
  vrf: vrfReaders,
};

/** IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND and IFLA_INFO_SLAVE_DATA within IFLA_LINKINFO. */
const infoData = 2;
const infoSlaveKind = 4;
const infoSlaveData = 5;

/** Undefined for a link of a kind that we do not configure. */
export function parseLinkInfo(kind: string | undefined, linkinfo: Buffer | undefined): LinkInfo | undefined {
  const known = kind === undefined || !Object.hasOwn(readers, kind) ? undefined : readers[kind];
  const data = linkinfo && parseAttributes(linkinfo).get(infoData);
  if (!known || !data) return undefined;
  const found = parseAttributes(data);
  const attributes: LinkAttributes = {};
  for (const [type, [name, read]] of Object.entries(known)) {
    const value = found.get(Number(type));
    const meaning = value && value.length > 0 ? read(value) : undefined;
    if (meaning !== undefined) attributes[name] = meaning;
  }
  const references: Record<string, number> = {};
  if (kind === "bond")
    for (const [name, type] of [["active", bondActive] as const, ["primary", bondPrimary] as const]) {
      const index = found.get(type)?.readUInt32LE(0) ?? 0;
      if (index > 0) references[name] = index;
    }
  return { attributes, references };
}

/** What LACP has found out; undefined unless the bond is an 802.3ad one with a partner. */
export function parseLacpPartner(linkinfo: Buffer | undefined): LacpPartner | undefined {
  const data = linkinfo && parseAttributes(linkinfo).get(infoData);
  const lacp = data && parseAttributes(data).get(bondLacp);
  if (!lacp) return undefined;
  const found = parseAttributes(lacp);
  const number = (type: number) => found.get(type)?.readUInt16LE(0) ?? 0;
  const mac = formatHardwareAddress(found.get(5));
  return { aggregator: number(1), ports: number(2), mac: mac === "00:00:00:00:00:00" ? undefined : mac };
}

/** Undefined for a link that is no member of a bond. */
export function parseBondMember(linkinfo: Buffer | undefined): BondMember | undefined {
  const info = linkinfo && parseAttributes(linkinfo);
  const kind = info?.get(infoSlaveKind)?.toString("latin1").replace(/\0+$/, "");
  const data = info?.get(infoSlaveData);
  if (kind !== "bond" || !data) return undefined;
  const found = parseAttributes(data);
  return {
    state: found.get(1)?.readUInt8(0) === 0 ? "active" : "backup",
    mii: (["up", "going-down", "down", "going-up"] as const)[found.get(2)?.readUInt8(0) ?? 2] ?? "down",
    failures: found.get(3)?.readUInt32LE(0) ?? 0,
    aggregator: found.get(6)?.readUInt16LE(0),
  };
}
