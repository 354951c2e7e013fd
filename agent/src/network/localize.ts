import type { Machine } from "../adapters/machine.ts";
import type { Configuration } from "../configuration/schema.ts";
import { type Card, type Resolved, resolveMembers } from "./members.ts";
import { readReleased, withoutReleased } from "./released/apply.ts";
import { readLinks } from "./status.ts";

/**
 * Turns what the configuration says of cards in general into the cards of this machine, and leaves out the virtual addresses that
 * this node has given up.
 */
export async function localizeNetwork(whole: Configuration, machine: Machine): Promise<Resolved> {
  const configuration = withoutReleased(whole, await readReleased(machine, whole));
  const asks = Object.values(configuration.interfaces).some(({ bond }) => bond?.memberPattern !== undefined);
  return asks ? resolveMembers(configuration, await readCards(machine)) : { configuration, findings: [] };
}

async function readCards(machine: Machine): Promise<Card[]> {
  const [links, statuses] = await Promise.all([machine.netlink.links(), readLinks(machine)]);
  return statuses.flatMap(({ name, driver, bus, mac, permanentMac, speed }) => {
    const link = links.find((each) => each.name === name);
    if (!link || link.kind !== undefined) return [];
    const master = links.find(({ index }) => index === link.master)?.name;
    return { name, driver, bus, mac: permanentMac ?? mac, speed, master };
  });
}
