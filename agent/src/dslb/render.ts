import { spellNetwork } from "../adapters/iproute.ts";
import { addressFamily } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import type { FarmDocument, TieDocument, UplinkDocument } from "./document.ts";
import type { Uplink, UplinkFarm } from "./schema.ts";

/** Farms of uplinks that are enabled, by name. */
export function renderUplinks(configuration: Configuration): FarmDocument[] {
  return sorted(configuration.uplinkFarms)
    .filter(([, { enabled }]) => enabled)
    .map(([name, farm]) => ({
      name,
      interfaces: farm.interfaces,
      sources: farm.sources.map((each) => spellNetwork(each, addressFamily(each))),
      box: farm.box,
      algorithm: farm.algorithm,
      uplinks: sorted(farm.uplinks).map(([uplink, settings]) => renderUplink(uplink, settings)),
      ties: farm.ties.map((each) => renderTie(each, configuration)),
    }));
}

function renderUplink(name: string, uplink: Uplink): UplinkDocument {
  const { interface: device, gateway, weight, priority, state, translation, prefix } = uplink;
  return {
    ...{ name, family: addressFamily(gateway), interface: device, gateway, weight, priority, state, translation },
    ...(translation === "prefix" ? { prefix } : {}),
  };
}

function renderTie(tie: UplinkFarm["ties"][number], { farms }: Configuration): TieDocument {
  const { source, destination, farm, uplink, otherwise } = tie;
  if (farm !== undefined)
    return {
      family: undefined,
      answers: Object.hasOwn(farms, farm) ? (farms[farm]?.virtualAddresses ?? []) : [],
      uplink,
      otherwise,
    };
  const network = source ?? destination;
  return { family: network === undefined ? undefined : addressFamily(network), source, destination, uplink, otherwise };
}

function sorted<Value>(record: Record<string, Value>): [string, Value][] {
  return Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1));
}
