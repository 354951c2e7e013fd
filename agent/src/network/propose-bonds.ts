import type { LinkStatus } from "./inventory.ts";
import type { LacpPartner } from "./lacp/pdu.ts";

/** Bonds that the cabling suggests. */

export type BondProposal = {
  /** The first bond name that is free. */
  name: string;
  /** 802.3ad when the other end speaks LACP, else active-backup, which needs nothing of the switch. */
  mode: "802.3ad" | "active-backup";
  members: string[];
  /** Why, in words for the operator. */
  reason: string;
};

type Card = Pick<LinkStatus, "name" | "kind" | "carrier" | "speed" | "master" | "neighbour">;

export type Facts = {
  links: readonly Card[];
  /** By the name of the card. */
  partners: ReadonlyMap<string, LacpPartner>;
  /** Names the configuration uses: such a card has its place already, such a bond its name. */
  configured: readonly string[];
};

/**
 * Cards that hear LACP from one group of ports of one system make an 802.3ad bond; of the rest, those that one switch announces itself
 * to by LLDP may be an active-backup bond. Only cards with carrier that nothing uses, and of one speed. Pure.
 */
export function proposeBonds({ links, partners, configured }: Facts): BondProposal[] {
  const free = links.filter(
    ({ name, kind, carrier, master }) =>
      kind === undefined && carrier && master === undefined && !configured.includes(name),
  );
  const taken = new Set([...links.map(({ name }) => name), ...configured]);
  const byLacp = group(free, ({ name, speed }) => {
    const partner = partners.get(name);
    return partner && `${partner.system} ${partner.systemPriority} ${partner.key} ${speed ?? ""}`;
  });
  const quiet = free.filter(({ name }) => !partners.has(name));
  const byLldp = group(quiet, ({ neighbour, speed }) => neighbour && `${neighbour.chassis} ${speed ?? ""}`);
  return [
    ...byLacp.map((cards) => ({ mode: "802.3ad" as const, cards, reason: explainLacp(cards, partners) })),
    ...byLldp.map((cards) => ({ mode: "active-backup" as const, cards, reason: explainLldp(cards) })),
  ].map(({ mode, cards, reason }) => {
    const name = nextFree(taken);
    taken.add(name);
    return { name, mode, members: cards.map((card) => card.name), reason };
  });
}

/** Groups of two and more. */
function group(cards: readonly Card[], keyOf: (card: Card) => string | undefined): Card[][] {
  const groups = new Map<string, Card[]>();
  for (const card of cards) {
    const key = keyOf(card);
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), card]);
  }
  return [...groups.values()].filter((members) => members.length > 1);
}

function explainLacp(cards: readonly Card[], partners: ReadonlyMap<string, LacpPartner>): string {
  const [first] = cards;
  const partner = first && partners.get(first.name);
  const names = join(cards.map(({ name }) => name));
  const system = first?.neighbour?.system ?? first?.neighbour?.chassis;
  const switchName = system === undefined ? "" : `, ${system} by its own name`;
  return `${names} hear LACP from one system (${partner?.system}${switchName}), which has these ports in one group (key ${partner?.key})`;
}

function explainLldp(cards: readonly Card[]): string {
  const [first] = cards;
  const ports = cards.map(({ name, neighbour }) => `${name} at port ${neighbour?.portDescription ?? neighbour?.port}`);
  const system = first?.neighbour?.system ?? first?.neighbour?.chassis;
  return `${join(ports)} are connected to one switch (${system}, by LLDP), which sends no LACP: active-backup works with any switch`;
}

function join(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function nextFree(taken: ReadonlySet<string>): string {
  let number = 0;
  while (taken.has(`bond${number}`)) number += 1;
  return `bond${number}`;
}
