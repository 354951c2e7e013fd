import { addressFamily, splitPortRange } from "../../configuration/fields.ts";
import type { Configuration } from "../../configuration/schema.ts";
import type { BackendDocument, FarmDocument, Farms, L4Artefacts } from "./document.ts";
import type { L4Backend, L4Farm } from "./schema.ts";

/** What the data plane is to hold. A farm that is not enabled is not there, so its ports are closed. */
export function renderFarms(configuration: Configuration): L4Artefacts {
  const farms: Farms = {};
  for (const [name, farm] of sortedEntries(configuration.farms))
    if (farm.profile === "l4xnat" && farm.enabled) farms[name] = renderFarm(farm);
  return { dataPlane: { state: "running" }, farms, marks: {}, handover: false };
}

const schedulers = {
  weight: { scheduler: "weight", parameters: "none" },
  "round-robin": { scheduler: "rr", parameters: "none" },
  "hash-source-address": { scheduler: "hash", parameters: "srcip" },
  "hash-source-address-port": { scheduler: "hash", parameters: "srcip srcport" },
} as const;

const states = { up: "up", maintenance: "off", down: "down" } as const;

/** A farm that did not change is the same object in the next configuration; what is rendered is never changed. */
const documents = new WeakMap<L4Farm, FarmDocument>();

function renderFarm(farm: L4Farm): FarmDocument {
  const known = documents.get(farm);
  if (known) return known;
  const document = makeDocument(farm);
  documents.set(farm, document);
  return document;
}

function makeDocument(farm: L4Farm): FarmDocument {
  const ports = joinPortRanges(farm.ports);
  return {
    mode: farm.natType === "nat" ? "snat" : "dnat",
    ...schedulers[farm.algorithm],
    addresses: Object.fromEntries(
      farm.virtualAddresses
        .toSorted()
        .map((address) => [address, { family: addressFamily(address), protocol: farm.protocol, ports }]),
    ),
    backends: Object.fromEntries(
      sortedEntries(farm.backends).map(([name, backend]) => [name, renderBackend(backend, farm)]),
    ),
    foreign: {},
  };
}

function renderBackend(backend: L4Backend, farm: L4Farm): BackendDocument {
  return {
    address: backend.address,
    port: String(backend.port ?? defaultPort(farm) ?? ""),
    weight: backend.weight,
    priority: backend.priority,
    state: states[backend.state],
  };
}

/**
 * The port of a backend that names none, next to others that do: nftlb drops the ports of all as soon as one has none, so
 * the farm's only port is spelled out. A farm of several ports cannot mix (verify refuses it), and keeps the client's port.
 */
function defaultPort(farm: L4Farm): number | undefined {
  if (!Object.values(farm.backends).some(({ port }) => port !== undefined)) return undefined;
  const [range = "0", ...others] = farm.ports;
  const { first, last } = splitPortRange(range);
  return others.length === 0 && first === last ? first : undefined;
}

/** Ports and ranges in order, with those that touch joined: one spelling for one set of ports. */
export function joinPortRanges(ranges: readonly string[]): string {
  const joined: { first: number; last: number }[] = [];
  for (const range of ranges.map(splitPortRange).sort((one, other) => one.first - other.first)) {
    const before = joined.at(-1);
    if (before && range.first <= before.last + 1) before.last = Math.max(before.last, range.last);
    else joined.push({ ...range });
  }
  return joined.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}

function sortedEntries<Value>(record: Record<string, Value>): [string, Value][] {
  return Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1));
}
