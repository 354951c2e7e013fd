import type { Link, LinkCounters } from "../adapters/netlink.ts";
import type { Configuration } from "../configuration/schema.ts";
import type { Binding, Candidate } from "./identity/assign.ts";
import { knownDrivers } from "./known-drivers.ts";
import { lowerOf } from "./topology.ts";
import type { SettingStatus } from "./tuning/status.ts";

/** What is known of a link besides its addresses; {@link readLinks} of status.ts gathers it. */
export type LinkStatus = {
  name: string;
  /** Names it also answers to: those that udev would have given it, such as enp3s0f0. */
  alternativeNames: string[];
  /** Kind of a virtual link, as `bond`; undefined for a card. */
  kind: string | undefined;
  mac: string | undefined;
  /** The address the card was made with, when the driver tells. */
  permanentMac: string | undefined;
  /** Kernel driver, as `virtio_net`; for a virtual link its kind. */
  driver: string | undefined;
  /** Where the card sits: `0000:00:03.0` for PCI. */
  bus: string | undefined;
  firmware: string | undefined;
  /** Hardware profiles whose images have the driver. Empty: none knows the card. */
  profiles: string[] | undefined;
  /** Mbit/s; undefined without carrier and for cards that do not know. */
  speed: number | undefined;
  duplex: "full" | "half" | undefined;
  carrier: boolean;
  /** down: administratively off; no-carrier: on, but no link; up: working; missing: the card is not in the machine. */
  state: "up" | "no-carrier" | "down" | "missing";
  /** Bytes. */
  mtu: number | undefined;
  minMtu: number | undefined;
  maxMtu: number | undefined;
  /** In use now. */
  queues: { receive: number; send: number } | undefined;
  /** Rings, channels, interrupts and offloads, as far as the driver tells. */
  settings: SettingStatus[] | undefined;
  /** Virtual functions that are on, and how many the card can have. */
  virtualFunctions: { active: number; greatest: number } | undefined;
  /** Name of the card this is a virtual function of. */
  virtualFunctionOf: string | undefined;
  /** Name of the bond or bridge it belongs to. */
  master: string | undefined;
  /** With prefix length; link-local ones included. */
  addresses: string[];
  counters: LinkCounters | undefined;
  neighbour: Neighbour | undefined;
  /** How the name is bound to the card. */
  binding: Pick<Binding, "by" | "mac" | "path"> | undefined;
  /** Of a missing card: those that may be in its place. */
  candidates: Candidate[] | undefined;
};

/** Who is at the other end, by its own words (LLDP, IEEE 802.1AB). */
export type Neighbour = {
  chassis: string;
  port: string;
  portDescription: string | undefined;
  system: string | undefined;
  systemDescription: string | undefined;
};

/** Modules that bring the network driver of another name with them. */
const modules: Readonly<Record<string, string>> = { mlx4_core: "mlx4_en", vif: "xen_netfront" };

/** Profiles whose images have one of these drivers or modules. */
export function profilesOf(names: readonly string[]): string[] {
  const found = names.flatMap((name) => {
    const driver = modules[name] ?? name;
    return Object.hasOwn(knownDrivers, driver) ? (knownDrivers[driver] ?? []) : [];
  });
  return [...new Set(found)].sort();
}

export function stateOf({ up, carrier }: Pick<Link, "up" | "carrier">): "up" | "no-carrier" | "down" {
  return up ? (carrier ? "up" : "no-carrier") : "down";
}

/** A name whose card is not in the machine. */
export function describeMissing({ name, by, mac, path }: Binding, candidates: Candidate[]): LinkStatus {
  return {
    ...{ name, alternativeNames: [], kind: undefined, mac: undefined, permanentMac: mac, driver: undefined },
    ...{ bus: undefined, firmware: undefined, profiles: undefined, speed: undefined, duplex: undefined },
    ...{ carrier: false, state: "missing", mtu: undefined, minMtu: undefined, maxMtu: undefined, queues: undefined },
    ...{
      settings: undefined,
      virtualFunctions: undefined,
      virtualFunctionOf: undefined,
      master: undefined,
      addresses: [],
    },
    ...{ counters: undefined, neighbour: undefined, binding: { by, mac, path }, candidates },
  };
}

/** Names that the configuration uses: of interfaces, and of the cards that bonds, VLANs and bridges stand on. */
export function listNamesInUse(interfaces: Configuration["interfaces"]): string[] {
  const names = Object.entries(interfaces).flatMap(([name, settings]) => [
    name,
    ...lowerOf(settings).map((lower) => lower.name),
  ]);
  return [...new Set(names)];
}
