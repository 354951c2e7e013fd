/**
 * Numbers of the kernel that several subsystems share, in one place so that no two take the same.
 *
 * Connection marks belong to nftlb alone: it compares them as a whole and remembers them for persistence, so one more bit in
 * them would lose connections. What the routing wants to know of a connection stands in its labels (nft's `ct label`).
 */

/** Who made a route or a rule (rtnetlink(7): numbers above RTPROT_STATIC are free). What bears another number is not ours. */
export const protocols = { routing: 83, uplinks: 84 } as const;

/** Packet marks: bits 0-11 and 31 are nftlb's, 16-23 say which table routes the packet, 24 that an uplink was chosen for it. */
export const slotShift = 16;
export const slotMask = 0x00ff0000;
export const permitBit = 0x01000000;
const ours = slotMask | permitBit;

/** Words of nft that give a packet our bits, and that take them away. */
export const setSlot = (slot: number, permit = false) =>
  `meta mark set meta mark & ${hex(~ours)} | ${hex((slot << slotShift) | (permit ? permitBit : 0))}`;
export const clearSlot = `meta mark set meta mark & ${hex(~ours)}`;

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}

/**
 * A slot is an interface or an uplink with a table of its own: its number is in the packet mark, the table and the labels.
 * Labels 1-63: the connection came in by the slot; 65-127: it goes out by it.
 */
export const highestLabelledSlot = 63;
export const highestSlot = 255;
export const arrivalLabel = (slot: number) => slot;
export const departureLabel = (slot: number) => slot + 64;
export const tableOf = (slot: number) => 1000 + slot;

/** Ids of nexthop objects: an uplink's own, and the group of a farm in one family. */
export const nexthopOf = (slot: number) => 1000 + slot;
export const groupOf = (slot: number, family: "ipv4" | "ipv6") => (family === "ipv4" ? 2000 : 3000) + slot;

/** Ports that probes of an uplink come from, so that they take it; below those the kernel gives away (ip_local_port_range). */
export const probePorts = (slot: number) => ({ first: 9000 + slot * 16, last: 9015 + slot * 16 });

/** Name of a label for conntrack(8), as /etc/xtables/connlabel.conf of the image has it. */
export const labelName = (label: number) => `steelyard-${label}`;

/** RT_TABLE_MAIN and its neighbours (linux/rtnetlink.h). */
export const mainTable = 254;
export const reservedTables = { default: 253, main: 254, local: 255 } as const;
/** Ids that the operator may give to tables and VRFs: below those of slots, and not the kernel's own. */
export const highestUserTable = 999;

/**
 * Priorities of rules, in the order in which the kernel asks them. What a table says of a network comes before what main says
 * of it, and both before any default route: so a table needs no copy of the others' networks.
 */
export const priorities = {
  /**
   * After the kernel's own rule for VRFs, which is 1000: the box's own addresses, when there is a VRF; and what the box sends
   * through one, by source address and by destination.
   */
  local: 1_010,
  vrfSource: 1_500,
  vrfDestination: 1_510,
  user: { first: 29_000, last: 30_999 },
  /** The table of a slot without its default route, by mark and by source address. */
  ownMark: 31_000,
  ownSource: 31_010,
  /** Main without its default route. */
  networks: 31_500,
  /** Uplinks, by mark: one of them, or all of a farm. */
  uplinks: 31_600,
  /** The table of a slot, its default route too. */
  mark: 32_000,
  source: 32_010,
} as const;

/** Interfaces and uplinks by `interface eth1` and `uplink isp/a`, farms of uplinks by `farm isp`. */
export type Slots = Record<string, number>;

/** Kept while the box runs, like the connections that bear the labels. */
export const slotsFile = "/run/steelyard/route-slots.json";

/**
 * A slot for every key: the one it has, or the lowest that nobody has. `now` may hold the slots of others, which are kept out of
 * the result and not given away; nor is one that becomes free now, since connections bear it still. Undefined when there is none.
 */
export function assignSlots(now: Slots, keys: readonly string[], from: number, to: number): Slots | undefined {
  const taken = new Set(Object.values(now));
  const slots: Slots = {};
  for (const key of keys) {
    const has = now[key];
    if (has !== undefined) {
      slots[key] = has;
      continue;
    }
    let next = from;
    while (taken.has(next)) next++;
    if (next > to) return undefined;
    taken.add(next);
    slots[key] = next;
  }
  return slots;
}
