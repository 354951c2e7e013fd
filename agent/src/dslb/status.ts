import { countLabelled } from "../adapters/conntrack.ts";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { listTable } from "../adapters/nft.ts";
import { observeTables } from "../adapters/nft-table.ts";
import { departureLabel } from "../adapters/route-numbers.ts";
import { readSlots } from "../adapters/route-slots.ts";
import type { Configuration } from "../configuration/schema.ts";
import { type Memory, memoryFile, slotOfUplink, type UplinkState, uplinkKey } from "./document.ts";
import { placeFarms, type UplinksState } from "./plan.ts";
import { renderUplinks } from "./render.ts";
import { countersTable, uplinksTable } from "./rules.ts";

export async function observeUplinks(machine: Machine): Promise<UplinksState> {
  const [slots, memory, links, { nexthops, routes, rules }, tables] = await Promise.all([
    readSlots(machine),
    readMemory(machine),
    machine.netlink.links(),
    machine.netlink.routing(),
    observeTables(machine, [uplinksTable, countersTable]),
  ]);
  const up = links.filter((link) => link.up).map(({ name }) => name);
  const lit = links.filter((link) => link.up && link.carrier).map(({ name }) => name);
  return {
    slots,
    memory,
    up,
    lit,
    nexthops,
    routes,
    rules,
    tables,
  };
}

export async function readMemory(machine: Machine): Promise<Memory> {
  const text = await readTextIfExists(machine.path(memoryFile));
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as Memory;
  } catch {
    machine.log.warn(`${memoryFile} is damaged; every uplink counts as up until its probes say otherwise`);
    return {};
  }
}

export async function writeMemory(machine: Machine, memory: Memory): Promise<void> {
  await writeAtomically(machine.path(memoryFile), `${JSON.stringify(memory)}\n`, 0o600);
}

export type UplinkStatus = {
  name: string;
  interface: string;
  gateway: string;
  state: UplinkState;
  /** RFC 3339, UTC: since when its probes say what they say. Undefined without probes. */
  since: string | undefined;
  /** What did not answer in the last round. */
  failures: string[];
  connections: number;
  sentBytes: number;
  receivedBytes: number;
};

export type UplinkFarmStatus = { name: string; state: "up" | "down" | "disabled"; uplinks: UplinkStatus[] };

/** What the kernel does for the farms of uplinks. */
export async function readUplinkStatuses(machine: Machine, configuration: Configuration): Promise<UplinkFarmStatus[]> {
  const state = await observeUplinks(machine);
  const { placed } = placeFarms(renderUplinks(configuration), state);
  const labels = placed.flatMap(({ uplinks }) => uplinks.map(({ slot }) => departureLabel(slot)));
  const [connections, bytes] = await Promise.all([countLabelled(machine, labels), readBytes(machine)]);
  return Object.keys(configuration.uplinkFarms).map((name): UplinkFarmStatus => {
    const farm = placed.find((each) => each.name === name);
    if (!farm) return { name, state: "disabled", uplinks: [] };
    const uplinks = farm.uplinks.map((uplink): UplinkStatus => {
      const known = state.memory[uplinkKey(name, uplink.name)];
      const slot = state.slots[slotOfUplink(name, uplink.name)];
      const count = (way: string) => (slot === undefined ? 0 : (bytes.get(`${way} ${slot}`) ?? 0));
      return {
        name: uplink.name,
        interface: uplink.interface,
        gateway: uplink.gateway,
        state: farm.states.get(uplink.name) ?? "down",
        since: known && new Date(known.health.since).toISOString(),
        failures: known?.failures ?? [],
        connections: slot === undefined ? 0 : (connections.get(departureLabel(slot)) ?? 0),
        sentBytes: count("sent"),
        receivedBytes: count("received"),
      };
    });
    return { name, state: uplinks.some((each) => each.state === "used") ? "up" : "down", uplinks };
  });
}

/** Bytes by `sent 5` and `received 5`. */
async function readBytes(machine: Machine): Promise<Map<string, number>> {
  const objects = (await listTable(machine, "inet", countersTable)) ?? [];
  return new Map(
    objects.flatMap(({ rule }) => {
      const { comment, expr } = (rule ?? {}) as { comment?: string; expr?: { counter?: { bytes: number } }[] };
      const counter = expr?.find((each) => each.counter)?.counter;
      return comment !== undefined && counter ? [[comment, counter.bytes] as const] : [];
    }),
  );
}
