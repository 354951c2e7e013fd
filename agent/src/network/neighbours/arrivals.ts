import type { Machine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import { splitPrefixed } from "../../configuration/fields.ts";
import { messageOf } from "../../errors.ts";
import { announceAddresses } from "./announce.ts";
import { suspect } from "./conflicts.ts";

/**
 * A link that has its carrier again: switches and neighbours may know our addresses at another box, or behind another port. The kernel
 * tells them when a link is set up, and not when a cable comes back. All that stands on the link is told of too: a bridge has its
 * carrier all the while, and its place in the network has changed.
 */
export async function announceArrival(machine: Machine, name: string): Promise<void> {
  try {
    const links = await machine.netlink.links();
    const arrived = links.find((link) => link.name === name);
    if (!arrived) return;
    const addresses = (await machine.netlink.addresses()).filter(
      ({ permanent, scope, tentative, dadFailed }) => permanent && scope === "global" && !tentative && !dadFailed,
    );
    for (const link of standingOn(arrived, links)) {
      const own = addresses.filter(({ index }) => index === link.index).map(({ address }) => address);
      await announceAddresses(machine, link.name, own);
      suspect(
        machine,
        own.map((each) => ({ interface: link.name, address: splitPrefixed(each).address })),
      );
    }
  } catch (error) {
    machine.log.warn(`announcing the addresses of ${name}: ${messageOf(error)}`);
  }
}

/** The link, its bond or bridge, and the VLANs on any of them. */
export function standingOn(link: Link, links: readonly Link[]): Link[] {
  const found = new Set([link]);
  for (const each of found)
    for (const other of links) if (other.index === each.master || isVlanOn(other, each)) found.add(other);
  return [...found];
}

function isVlanOn({ kind, parent }: Link, { index }: Link): boolean {
  return kind === "vlan" && parent === index;
}
