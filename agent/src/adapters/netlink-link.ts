import { type ifla, rt } from "node-netlink";
import {
  type BondMember,
  type LacpPartner,
  type LinkInfo,
  parseBondMember,
  parseLacpPartner,
  parseLinkInfo,
} from "./link-info.ts";
import { formatHardwareAddress, listAttributes, parseLinkKind, readText } from "./netlink-codec.ts";

/** Counters of a link since it was made, of 64 bits in the kernel: bytes and packets. */
export type LinkCounters = {
  receivedBytes: number;
  receivedPackets: number;
  receivedErrors: number;
  receivedDropped: number;
  sentBytes: number;
  sentPackets: number;
  sentErrors: number;
  sentDropped: number;
};

/** A network interface as the kernel has it. */
export type Link = {
  index: number;
  name: string;
  /** Other names it answers to: those that udev would have given it. */
  alternativeNames: string[];
  /** Hardware address in use, and the one the card was made with when the driver knows it. */
  mac: string | undefined;
  permanentMac: string | undefined;
  /** Kind of a virtual link (`bond`, `vlan`); undefined for a card. */
  kind: string | undefined;
  /** Bytes; the bounds are undefined where the driver sets none. */
  mtu: number;
  minMtu: number | undefined;
  maxMtu: number | undefined;
  /** Administratively up. */
  up: boolean;
  carrier: boolean;
  loopback: boolean;
  /** Frames are Ethernet's (ARPHRD_ETHER). */
  ethernet: boolean;
  /** Index of the bond, bridge or VRF it belongs to. */
  master: number | undefined;
  counters: LinkCounters;
  /** Index of the link that a VLAN stands on. */
  parent?: number | undefined;
  /** A name for people. */
  alias?: string | undefined;
  /** Of a bond, VLAN, bridge or VRF. */
  info?: LinkInfo | undefined;
  /** Of an 802.3ad bond, and of a member of a bond. */
  lacpPartner?: LacpPartner | undefined;
  bondMember?: BondMember | undefined;
};

type LinkMessage = { data: rt.Link; attrs: ifla.LinkAttrs };

/** IFLA_ALT_IFNAME within IFLA_PROP_LIST (linux/if_link.h). */
const alternativeName = 53;

/** A link of a dump or an event; undefined for a message about something else, such as a port of a bridge. */
export function toLink({ data, attrs }: LinkMessage): Link | undefined {
  if ((data.family ?? 0) !== 0 || data.index === undefined || attrs.ifname === undefined) return undefined;
  return {
    index: data.index,
    name: attrs.ifname,
    alternativeNames: listAttributes(attrs.propList ?? Buffer.alloc(0))
      .filter(({ type }) => type === alternativeName)
      .map(({ value }) => readText(value)),
    mac: formatHardwareAddress(attrs.address),
    permanentMac: formatHardwareAddress(attrs.permAddress),
    ...describeKind(attrs.linkinfo),
    mtu: attrs.mtu ?? 0,
    minMtu: attrs.minMtu || undefined,
    maxMtu: attrs.maxMtu || undefined,
    up: data.flags?.up === true,
    // IFLA_CARRIER is 1 on a link that is down and was never asked: lowerUp says that there is a light.
    carrier: data.flags?.lowerUp === true,
    loopback: data.flags?.loopback === true,
    ethernet: data.type === "ETHER" || data.type === rt.LinkType.ETHER,
    master: attrs.master,
    counters: toCounters(attrs.stats64),
    parent: attrs.link?.readUInt32LE(0),
    alias: attrs.ifalias,
  };
}

function describeKind(linkinfo: Buffer | undefined) {
  const kind = parseLinkKind(linkinfo);
  return {
    kind,
    info: parseLinkInfo(kind, linkinfo),
    lacpPartner: kind === "bond" ? parseLacpPartner(linkinfo) : undefined,
    bondMember: parseBondMember(linkinfo),
  };
}

/** 2^53 bytes are 83 days at 10 Gbit/s to the byte; past that a number is exact to a few bytes, which no graph shows. */
function toCounters(statistics: ifla.LinkStats64 = {}): LinkCounters {
  return {
    receivedBytes: Number(statistics.rxBytes ?? 0),
    receivedPackets: Number(statistics.rxPackets ?? 0),
    receivedErrors: Number(statistics.rxErrors ?? 0),
    receivedDropped: Number(statistics.rxDropped ?? 0),
    sentBytes: Number(statistics.txBytes ?? 0),
    sentPackets: Number(statistics.txPackets ?? 0),
    sentErrors: Number(statistics.txErrors ?? 0),
    sentDropped: Number(statistics.txDropped ?? 0),
  };
}

export function linkOfMessage(payload: Buffer): Link | undefined {
  return toLink(rt.parseLinkMessage(payload));
}
