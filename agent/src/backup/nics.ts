import type { BackupNic } from "./schema.ts";

/** Which card of this box takes the place of each card of the backup. Pure. */

export type NicPlace = {
  /** Name in the backup. */
  name: string;
  /** Name here; none: nobody can say. */
  to?: string;
  /**
   * named: somebody said so; mac: the very same card; proposed: a card that is like it, or the next in order, which somebody has
   * to agree to; open: nothing fits.
   */
  by: "named" | "mac" | "proposed" | "open";
  /** In words, for a person who has to choose. */
  reason: string;
  /** Cards of this box that are free for it, the likeliest first. */
  candidates: string[];
};

export type NicMap = { places: NicPlace[]; problems: { path: string; message: string }[] };

/** `wanted` are the cards that the configuration names. The order is that of the names. */
export function mapNics(
  wanted: readonly BackupNic[],
  present: readonly BackupNic[],
  named: Readonly<Record<string, string>>,
): NicMap {
  const places = new Map<string, NicPlace>();
  const problems: NicMap["problems"] = [];
  const taken = new Set<string>();
  const place = (nic: BackupNic, by: NicPlace["by"], to: string | undefined, reason: string) => {
    places.set(nic.name, { name: nic.name, by, reason, candidates: [], ...(to === undefined ? {} : { to }) });
    if (to !== undefined) taken.add(to);
  };
  const left = () => wanted.filter(({ name }) => !places.has(name));
  const free = () => present.filter(({ name }) => !taken.has(name));

  for (const [from, to] of Object.entries(named)) {
    const path = `map.${from}`;
    const nic = wanted.find(({ name }) => name === from);
    if (!nic) problems.push({ path, message: `expected a card of the backup: ${listNames(wanted)}` });
    // Its own name stands for a card that is yet to come.
    else if (!present.some(({ name }) => name === to) && to !== from)
      problems.push({ path, message: `expected a card of this box: ${listNames(present)}` });
    else if (taken.has(to)) problems.push({ path, message: `expected each card once: ${to} is named for another` });
    else place(nic, "named", to, "as you said");
  }
  for (const nic of left()) {
    const same = free().filter(({ mac }) => mac !== undefined && mac === nic.mac);
    if (same.length === 1) place(nic, "mac", same[0]?.name, "the same card, by its permanent MAC address");
  }
  // One pass for each likeness over all cards, so that a weaker one does not take what fits another better.
  const likenesses: [string, (one: BackupNic, other: BackupNic) => boolean][] = [
    [
      "same driver in the same place",
      (one, other) => isLike(one, other) && one.bus !== undefined && one.bus === other.bus,
    ],
    ["same driver, next in order", isLike],
    ["next in order", () => true],
  ];
  for (const [reason, fits] of likenesses) {
    for (const nic of left()) {
      const next = free().find((each) => fits(nic, each));
      if (next) place(nic, "proposed", next.name, reason);
    }
  }
  for (const nic of left()) place(nic, "open", undefined, "this box has no card left for it");

  const sure = new Set([...places.values()].filter(({ by }) => by === "named" || by === "mac").map(({ to }) => to));
  const open = present.filter(({ name }) => !sure.has(name));
  for (const each of places.values()) {
    if (each.by === "named" || each.by === "mac") continue;
    const first = each.to === undefined ? [] : [each.to];
    each.candidates = [...first, ...open.map(({ name }) => name).filter((name) => name !== each.to)];
  }
  return { places: wanted.map(({ name }) => places.get(name) as NicPlace), problems };
}

function isLike(one: BackupNic, other: BackupNic): boolean {
  return one.driver !== undefined && one.driver === other.driver;
}

function listNames(nics: readonly BackupNic[]): string {
  return nics.length === 0 ? "there is none" : nics.map(({ name }) => name).join(", ");
}

/** `eth0 (52:54:00:12:34:56, virtio_net, 0000:00:03.0)` */
export function describeNic({ name, mac, driver, bus }: BackupNic): string {
  const facts = [mac, driver, bus].filter((each) => each !== undefined);
  return facts.length === 0 ? name : `${name} (${facts.join(", ")})`;
}
