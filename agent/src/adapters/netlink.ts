import { createRtNetlink, type RtNetlinkSocket } from "node-netlink";
import { SteelyardError } from "../errors.ts";
import type { Routing } from "./iproute.ts";
import { formatAddress } from "./netlink-codec.ts";
import { type Link, toLink } from "./netlink-link.ts";
import { readRouting } from "./netlink-routes.ts";

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

const timeout = 10_000;
const families = { 2: "ipv4", 10: "ipv6" } as const;
/** RT_TABLE_MAIN (linux/rtnetlink.h). */
const mainTable = 254;
/** RT_SCOPE_LINK and RT_SCOPE_HOST; anything nearer to zero reaches further. */
const scopeLink = 253;
const scopeHost = 254;

/** A reader of rtnetlink(7) in the process's own network namespace. Fails with `command-failed`. */
export function makeNetlink(): Netlink {
  return {
    links: () =>
      ask("links", async (socket) => {
        const messages = await socket.getLinks({}, {}, { timeout });
        return messages.flatMap((message) => toLink(message) ?? []);
      }),
    addresses: () =>
      ask("addresses", async (socket) => {
        const messages = await socket.getAddresses({}, {}, { timeout });
        return messages.flatMap(({ data, attrs }) => {
          // IFA_ADDRESS is the far end on a point-to-point link; IFA_LOCAL is ours, but IPv6 mostly leaves it out.
          const bytes = attrs.local ?? attrs.address;
          if (data.index === undefined || !bytes) return [];
          const flags = attrs.flags ?? data.flags ?? {};
          const scope = data.scope ?? 0;
          return {
            index: data.index,
            address: `${formatAddress(bytes)}/${data.prefixlen ?? 0}`,
            scope:
              scope >= scopeHost ? ("host" as const) : scope >= scopeLink ? ("link" as const) : ("global" as const),
            tentative: flags.tentative === true,
            dadFailed: flags.dadfailed === true,
            permanent: flags.permanent === true,
          };
        });
      }),
    defaultRoutes: (others = []) =>
      ask("routes", async (socket) => {
        const found: DefaultRoute[] = [];
        for (const number of [2, 10] as const) {
          for (const { data, attrs } of await socket.getRoutes({ family: number }, {}, { timeout })) {
            const { gateway, oif } = attrs;
            const table = attrs.table ?? data.table ?? mainTable;
            const isWanted = table === mainTable || others.includes(table);
            if (!isWanted || data.dstLen !== 0 || !gateway || oif === undefined) continue;
            const route = { index: oif, family: families[number], gateway: formatAddress(gateway) };
            found.push(table === mainTable ? route : { ...route, table });
          }
        }
        return found;
      }),
    routing: readRouting,
  };
}

/** A socket per question: the answer is a dump, and no question comes more than once in a while. */
async function ask<Answer>(what: string, question: (socket: RtNetlinkSocket) => Promise<Answer>): Promise<Answer> {
  const socket = createRtNetlink();
  try {
    return await question(socket);
  } catch (error) {
    throw new SteelyardError("command-failed", `netlink: the kernel did not list its ${what}: ${String(error)}`, {
      cause: error,
    });
  } finally {
    socket.socket.close();
  }
}
