import { type Card, compareCards, isSamePlace } from "./card.ts";

/**
 * Which card has which name. A name is bound to a card once, in /config/local/links, and stays with it: whatever the kernel
 * calls the card, in whichever slot it sits. What is not certain is not guessed: the name then belongs to a card that is
 * missing, and an operator says which one takes it.
 */

/** A name and the card it is bound to. */
export type Binding = {
  name: string;
  /** mac: the card with this permanent MAC, wherever it sits. path: the card at this place, whichever it is. */
  by: "mac" | "path";
  /** Permanent MAC and place of the card when it was last seen. */
  mac: string | undefined;
  path: string | undefined;
  port: number;
};

export type Assignment = {
  /** The name of every card, by the index of its link. */
  names: ReadonlyMap<number, string>;
  /** All bindings there are now, those of missing cards included. */
  bindings: Binding[];
  /** Cards whose name holds until the next boot only: nothing tells them from another one. */
  unbound: Card[];
};

export type AssignmentOptions = {
  cards: readonly Card[];
  bindings: readonly Binding[];
  /** Names that the configuration uses: they wait for the card they are meant for. */
  configured?: readonly string[];
  /** Names of links that are no cards, such as bonds. */
  others?: readonly string[];
};

export const prefix = "nic";

/** Gives every card its name: the bound one, or the next free one for a card that is new. Pure. */
export function assignNames({ cards, bindings, configured = [], others = [] }: AssignmentOptions): Assignment {
  const holders = new Map<string, Card>();
  for (const match of [matchExactly, matchMoved]) {
    for (const binding of bindings) {
      const card = holders.has(binding.name) ? undefined : match(binding, cards, bindings);
      if (card && ![...holders.values()].includes(card)) holders.set(binding.name, card);
    }
  }
  const kept = bindings.map((binding) => {
    const card = holders.get(binding.name);
    return card?.path !== undefined && binding.by === "mac"
      ? { ...binding, path: card.path, port: card.port }
      : binding;
  });
  const names = new Map([...holders].map(([name, { index }]) => [index, name]));
  // The first names of a machine begin at the beginning, whatever a configuration from elsewhere may use.
  const used = new Set([...bindings.map(({ name }) => name), ...others, ...(bindings.length > 0 ? configured : [])]);
  const unbound: Card[] = [];
  const fresh = cards.filter(({ index }) => !names.has(index)).sort(compareFresh);
  for (const card of fresh) {
    const name = chooseName(card, names, used);
    used.add(name);
    names.set(card.index, name);
    const binding = bind(name, card, cards, kept);
    if (binding) kept.push(binding);
    else unbound.push(card);
  }
  return { names, bindings: kept, unbound };
}

function matchExactly(binding: Binding, cards: readonly Card[]): Card | undefined {
  return only(
    cards.filter((card) => isSamePlace(binding, card) && (binding.by === "path" || card.permanentMac === binding.mac)),
  );
}

/** The same card in another slot. With two cards of this MAC nobody can tell which one it is. */
function matchMoved({ by, mac }: Binding, cards: readonly Card[], bindings: readonly Binding[]): Card | undefined {
  if (by !== "mac" || bindings.filter((each) => each.by === "mac" && each.mac === mac).length > 1) return undefined;
  return only(cards.filter(({ permanentMac }) => permanentMac === mac));
}

function only<Item>(items: readonly Item[]): Item | undefined {
  return items.length === 1 ? items[0] : undefined;
}

/** Cards before their virtual functions, which are named after them. */
function compareFresh(one: Card, other: Card): number {
  return (
    Number(one.virtualFunction !== undefined) - Number(other.virtualFunction !== undefined) || compareCards(one, other)
  );
}

/** `nic3` for a card; `nic3v0` for the first virtual function of nic3. */
function chooseName({ virtualFunction }: Card, names: ReadonlyMap<number, string>, used: ReadonlySet<string>): string {
  const parent = virtualFunction && names.get(virtualFunction.of);
  if (virtualFunction && parent !== undefined) {
    const name = `${parent}v${virtualFunction.number}`;
    // IFNAMSIZ is 16 with the closing NUL.
    if (name.length <= 15 && !used.has(name)) return name;
  }
  let number = 0;
  while (used.has(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}

/** Binds a name to another card, which gives up the name it had. Pure. */
export function rebind(
  name: string,
  card: Card,
  cards: readonly Card[],
  bindings: readonly Binding[],
  held: string | undefined,
): Binding[] {
  const others = bindings.filter((each) => each.name !== name && each.name !== held);
  const binding = bind(name, card, cards, others);
  return binding ? [...others, binding] : others;
}

/** By MAC when no other card has it, else by place; undefined when neither is its own. */
function bind(name: string, card: Card, cards: readonly Card[], bindings: readonly Binding[]): Binding | undefined {
  const { permanentMac: mac, path, port } = card;
  const ownMac =
    isUsableMac(mac) &&
    cards.filter(({ permanentMac }) => permanentMac === mac).length === 1 &&
    !bindings.some((each) => each.mac === mac);
  if (ownMac) return { name, by: "mac", mac, path, port };
  if (cards.filter((each) => isSamePlace(each, card)).length === 1) return { name, by: "path", mac, path, port };
  return undefined;
}

/** False for no address, all zeros, and group addresses, of which some broken firmware makes use. */
function isUsableMac(mac: string | undefined): mac is string {
  return mac !== undefined && !/^(?:00:)+00$/.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0;
}

export type Candidate = {
  /** The name the card has for now. */
  name: string;
  /** replaced: another card sits in the slot. same-mac: it has the MAC, and is not alone in that or not where it was. */
  reason: "replaced" | "same-mac";
};

/** Cards that may be the one a name is bound to, when that one is missing: for an operator to choose from. Pure. */
export function findCandidates(
  binding: Binding,
  cards: readonly Card[],
  names: ReadonlyMap<number, string>,
): Candidate[] {
  return [...cards].sort(compareCards).flatMap((card): Candidate[] => {
    const name = names.get(card.index);
    if (name === undefined) return [];
    if (binding.mac !== undefined && card.permanentMac === binding.mac) return [{ name, reason: "same-mac" }];
    return isSamePlace(binding, card) ? [{ name, reason: "replaced" }] : [];
  });
}

export type Rename = { index: number; from: string; to: string };

/**
 * The renames that give the cards their names, in order. A name that another link has yet is vacated first: that link gets a
 * name nobody uses, and later its own.
 */
export function planRenames(
  links: readonly { index: number; name: string }[],
  names: ReadonlyMap<number, string>,
): Rename[] {
  const wanted = links.flatMap(({ index, name }): Rename[] => {
    const to = names.get(index);
    return to === undefined || to === name ? [] : [{ index, from: name, to }];
  });
  const vacate = wanted.filter(({ from }) => wanted.some(({ to }) => to === from));
  const aside = vacate.map(({ index, from }) => ({ index, from, to: `rename${index}` }));
  return [
    ...aside,
    ...wanted.map((each) => ({ ...each, from: aside.find(({ index }) => index === each.index)?.to ?? each.from })),
  ];
}
