import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";
import type { NetworkInterface } from "./schema.ts";

const families = ["ipv4", "ipv6"] as const;

/** How a change of the network can cut off whoever manages the box through it. */
export function endangersNetwork(before: Configuration, after: Configuration): string[] {
  const reasons = before.system.management.interfaces.flatMap((name) => {
    const one = Object.hasOwn(before.interfaces, name) ? before.interfaces[name] : undefined;
    const other = Object.hasOwn(after.interfaces, name) ? after.interfaces[name] : undefined;
    return isDeepStrictEqual(essence(one), essence(other)) ? [] : [`the interface ${name} is used for management`];
  });
  for (const family of families)
    if (!isDeepStrictEqual(gateways(before, family), gateways(after, family)))
      reasons.push(`the ${family === "ipv4" ? "IPv4" : "IPv6"} default gateway changes`);
  return reasons;
}

/** All but the words that describe it. */
function essence(settings: NetworkInterface | undefined): object {
  return { ...settings, description: "" };
}

/** Where default gateways come from: written down, or learned from the network by an interface. */
function gateways({ interfaces }: Configuration, family: (typeof families)[number]): object {
  const enabled = Object.entries(interfaces).filter(([, settings]) => settings.enabled);
  return enabled.flatMap(([name, settings]) => {
    const { method, gateway, defaultRoute } = settings[family];
    const learns = method === "dhcp" || method === "automatic";
    return learns || gateway !== undefined ? [{ name, learns, gateway, isDefault: defaultRoute !== false }] : [];
  });
}
