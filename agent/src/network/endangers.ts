import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";
import { listVrfs, vrfsOfMembers } from "../configuration/vrf.ts";
import { findInterface, foundationsOf, mastersOf } from "./topology.ts";

const families = ["ipv4", "ipv6"] as const;

/** How a change of the network can cut off whoever manages the box through it. */
export function endangersNetwork(before: Configuration, after: Configuration): string[] {
  const reasons = before.system.management.interfaces.flatMap((name) => {
    const changed = [...new Set([...foundationsOf(before.interfaces, name), ...foundationsOf(after.interfaces, name)])]
      .filter((each) => !isDeepStrictEqual(essence(before, each), essence(after, each)))
      .sort((one, other) => Number(other === name) - Number(one === name));
    const [first] = changed;
    if (first === undefined) return [];
    return first === name
      ? [`the interface ${name} is used for management`]
      : [`the interface ${name}, which stands on ${first}, is used for management`];
  });
  for (const family of families)
    if (!isDeepStrictEqual(gateways(before, family), gateways(after, family)))
      reasons.push(`the ${family === "ipv4" ? "IPv4" : "IPv6"} default gateway changes`);
  if (before.system.management.interfaces.length > 0 && !isDeepStrictEqual(waysOut(before), waysOut(after)))
    reasons.push("what the box reaches through a VRF changes, and answers to management may take another way");
  return reasons;
}

/** All but the words that describe it, and the bond, bridge or VRF it belongs to, that with its table. */
function essence({ interfaces }: Configuration, name: string): object {
  const master = mastersOf(interfaces).get(name);
  const table = master === undefined ? undefined : findInterface(interfaces, master)?.vrf?.table;
  return { ...findInterface(interfaces, name), description: "", alias: "", master, table };
}

function waysOut({ interfaces }: Configuration): object[] {
  return listVrfs(interfaces).flatMap(({ name, destinations }) =>
    destinations.length > 0 ? { name, destinations } : [],
  );
}

/** Where default gateways come from: written down, or learned from the network by an interface. */
function gateways({ interfaces }: Configuration, family: (typeof families)[number]): object {
  const vrfs = vrfsOfMembers(interfaces);
  const enabled = Object.entries(interfaces).filter(([, settings]) => settings.enabled);
  return enabled.flatMap(([name, settings]) => {
    const { method, gateway, defaultRoute } = settings[family];
    const learns = method !== "none" && method !== "static";
    return learns || gateway !== undefined
      ? [{ name, learns, gateway, isDefault: defaultRoute !== false, vrf: vrfs.get(name)?.name }]
      : [];
  });
}
