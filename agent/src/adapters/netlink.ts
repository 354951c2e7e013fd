import { rt } from "node-netlink";
import type { Routing } from "./iproute.ts";
import { formatAddress } from "./netlink-codec.ts";
import { withDumps } from "./netlink-dump.ts";
import { type Link, linkOfMessage } from "./netlink-link.ts";
import { dumpRoutes, families, readRouting } from "./netlink-routes.ts";
import { mainTable } from "./route-numbers.ts";

export type { Link, LinkCounters } from "./netlink-link.ts";

/** An address on a link. `dadFailed`: another host has it (RFC 4862); `tentative`: not known yet. */
export type LinkAddress = {
  index: number;
  /** With its prefix length, as prefixedAddress spells it. */
  address: string;
  scope: "global" | "link" | "host";
  tentative: boolean;
  dadFailed: boolean;
  /** False for one with a lease: DHCP or a router advertisement. */
  permanent: boolean;
};

/** `table`: left out for the main one. */
export type DefaultRoute = { index: number; family: "ipv4" | "ipv6"; gateway: string; table?: number };

/** What the kernel says of the network. Read only: systemd-networkd and `ip` are those that write. */
export type Netlink = {
  links(): Promise<Link[]>;
  addresses(): Promise<LinkAddress[]>;
  /** Default routes with a gateway: in the main table, and in those that are named. */
  defaultRoutes(others?: readonly number[]): Promise<DefaultRoute[]>;
  routing(): Promise<Routing>;
};

/** RT_SCOPE_LINK and RT_SCOPE_HOST; anything nearer to zero reaches further. */
const scopeLink = 253;
const scopeHost = 254;
/** Bytes of struct ifinfomsg and ifaddrmsg: of no family, of every link. */
const headers = { link: 16, address: 8 } as const;

/** A reader of rtnetlink(7) in the process's own network namespace, with a socket for each question. Fails with `command-failed`. */
export function makeNetlink(): Netlink {
  return {
    links: () =>
      withDumps(async (dump) => {
        const messages = await dump("links", rt.MessageType.GETLINK, Buffer.alloc(headers.link));
        return messages.flatMap((message) => linkOfMessage(message) ?? []);
      }),
    addresses: () =>
      withDumps(async (dump) => {
        const messages = await dump("addresses", rt.MessageType.GETADDR, Buffer.alloc(headers.address));
        return messages.flatMap(toAddress);
      }),
    defaultRoutes: (others = []) =>
      withDumps(async (dump) => (await dumpRoutes(dump)).flatMap((message) => toDefaultRoute(message, others))),
    routing: readRouting,
  };
}

function toAddress(message: Buffer): LinkAddress[] {
  const { data, attrs } = rt.parseAddressMessage(message);
  // IFA_ADDRESS is the far end on a point-to-point link; IFA_LOCAL is ours, but IPv6 mostly leaves it out.
  const bytes = attrs.local ?? attrs.address;
  if (data.index === undefined || !bytes) return [];
  const flags = attrs.flags ?? data.flags ?? {};
  const scope = data.scope ?? 0;
  return [
    {
      index: data.index,
      address: `${formatAddress(bytes)}/${data.prefixlen ?? 0}`,
      scope: scope >= scopeHost ? "host" : scope >= scopeLink ? "link" : "global",
      tentative: flags.tentative === true,
      dadFailed: flags.dadfailed === true,
      permanent: flags.permanent === true,
    },
  ];
}

function toDefaultRoute(message: Buffer, others: readonly number[]): DefaultRoute[] {
  const { data, attrs } = rt.parseRouteMessage(message);
  const { gateway, oif } = attrs;
  const family = families.get(data.family ?? 0);
  const table = attrs.table ?? data.table ?? mainTable;
  const isWanted = table === mainTable || others.includes(table);
  if (!isWanted || data.dstLen !== 0 || !gateway || oif === undefined || family === undefined) return [];
  const route = { index: oif, family, gateway: formatAddress(gateway) };
  return [table === mainTable ? route : { ...route, table }];
}
