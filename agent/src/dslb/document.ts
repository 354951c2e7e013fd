import type { Family } from "../adapters/iproute.ts";
import type { Health } from "../health/verdict.ts";
import type { UplinkFarm } from "./schema.ts";

/** What is known of an uplink while the box runs, by `farm/uplink`; kept in a file, since the agent may be replaced. */
export type UplinkMemory = {
  health: Health;
  /** Since the uplink may not be used though it is up: it waits for the return policy. */
  waiting: boolean;
  /** Last round of probes: what did not answer, in words. */
  failures: string[];
};
export type Memory = Record<string, UplinkMemory>;

export const memoryFile = "/run/steelyard/uplinks.json";

export const uplinkKey = (farm: string, uplink: string) => `${farm}/${uplink}`;
export const slotOfUplink = (farm: string, uplink: string) => `uplink ${farm}/${uplink}`;
export const slotOfFarm = (farm: string) => `farm ${farm}`;

/** One uplink as the kernel is told of it. */
export type UplinkDocument = {
  name: string;
  family: Family;
  interface: string;
  gateway: string;
  weight: number;
  priority: number;
  state: "up" | "maintenance" | "down";
  translation: "masquerade" | "prefix" | "none";
  prefix?: { inside: string; outside: string } | undefined;
};

export type TieDocument = {
  family: Family | undefined;
  source?: string | undefined;
  destination?: string | undefined;
  /** Virtual addresses whose answers leave by the uplink. */
  answers?: string[] | undefined;
  uplink: string;
  otherwise: "balance" | "drop";
};

export type FarmDocument = Pick<UplinkFarm, "interfaces" | "sources" | "box" | "algorithm"> & {
  name: string;
  uplinks: UplinkDocument[];
  ties: TieDocument[];
};

/**
 * used: takes new connections. standby: another priority is used. maintenance, down: the operator says so. dead: its probes
 * fail. waiting: it is up again and waits for its return. no-link: its interface is down or missing.
 */
export type UplinkState = "used" | "standby" | "maintenance" | "down" | "dead" | "waiting" | "no-link";

/**
 * What each uplink is worth now. When none of those that could be used answers its probes, all of them are used: the fault may
 * be the probes' own, and a dead way is no worse than none.
 */
export function judgeUplinks(farm: FarmDocument, memory: Memory, lit: readonly string[]): Map<string, UplinkState> {
  const states = new Map<string, UplinkState>();
  for (const family of ["ipv4", "ipv6"] as const) {
    const uplinks = farm.uplinks.filter((each) => each.family === family);
    const fair = uplinks.map((each): UplinkState => {
      const known = memory[uplinkKey(farm.name, each.name)];
      if (each.state !== "up") return each.state;
      if (!lit.includes(each.interface)) return "no-link";
      if (known?.health.verdict === "down") return "dead";
      return known?.waiting ? "waiting" : "used";
    });
    const desperate = !fair.includes("used");
    const candidates = fair.map((state) => (desperate && (state === "dead" || state === "waiting") ? "used" : state));
    const least = Math.min(...uplinks.filter((_, at) => candidates[at] === "used").map(({ priority }) => priority));
    uplinks.forEach(({ name, priority }, at) => {
      const state = candidates[at] ?? "down";
      states.set(name, state === "used" && farm.algorithm === "priority" && priority > least ? "standby" : state);
    });
  }
  return states;
}
