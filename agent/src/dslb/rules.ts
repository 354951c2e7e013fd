import type { NftTable } from "../adapters/nft-table.ts";
import { clearSlot, departureLabel, hex, permitBit, probePorts, setSlot, slotMask } from "../adapters/route-numbers.ts";
import type { FarmDocument, TieDocument, UplinkDocument, UplinkState } from "./document.ts";

export const uplinksTable = "steelyard_uplinks";
export const countersTable = "steelyard_uplink_counters";

/** A farm with its numbers and with what its uplinks are worth. */
export type Placed = Omit<FarmDocument, "uplinks"> & {
  slot: number;
  uplinks: (UplinkDocument & { slot: number })[];
  states: ReadonlyMap<string, UplinkState>;
};

const words = { ipv4: "ip", ipv6: "ip6" } as const;
const set = (items: readonly (string | number)[]) => `{ ${items.join(", ")} }`;
const names = (items: readonly string[]) => set([...new Set(items)].sort().map((name) => `"${name}"`));
const isPermitted = `meta mark & ${hex(permitBit)} == ${hex(permitBit)}`;
const isOpen = `meta mark & ${hex(slotMask)} == 0`;

/**
 * A new connection gets the mark of its farm, whose table is a group of nexthops; where it left is kept as a label, and all that
 * follows takes the same way by the mark of the uplink. Only packets with the mark of permission pass the base firewall, and only
 * out of an uplink.
 */
export function renderRules(farms: readonly Placed[]): NftTable | undefined {
  const uplinks = farms.flatMap((farm) => farm.uplinks);
  if (uplinks.length === 0) return undefined;
  const outside = names(uplinks.map((each) => each.interface));
  const inside = farms.flatMap(({ interfaces }) => interfaces);
  return {
    name: uplinksTable,
    chains: [
      {
        name: "keep",
        rules: uplinks.map(({ slot }) => `ct label ${departureLabel(slot)} ${setSlot(slot, true)} return`),
      },
      { name: "answer", rules: farms.flatMap(renderAnswers) },
      ...farms.map((farm) => ({ name: `choose_${farm.slot}`, rules: renderChoice(farm) })),
      {
        // After the routing's chain at -140, which has cleared the mark and set that of answers.
        name: "prerouting",
        base: "type filter hook prerouting priority -139; policy accept;",
        rules: [
          "ct direction reply jump answer",
          "ct direction original jump keep",
          ...farms
            .filter(({ interfaces }) => interfaces.length > 0)
            .map(
              ({ interfaces, slot }) =>
                `iifname ${names(interfaces)} ct direction original ct state new ${isOpen} fib daddr type unicast jump choose_${slot}`,
            ),
        ],
      },
      {
        name: "output",
        base: "type route hook output priority -139; policy accept;",
        rules: [
          "ct direction reply jump answer",
          // The box's own probes: the ports say which uplink they are about.
          ...uplinks.flatMap(({ slot, family }) => {
            const { first, last } = probePorts(slot);
            const match = `meta nfproto ${family} ct direction original`;
            return ["tcp", "udp"].map(
              (protocol) =>
                `${match} ${protocol} sport ${first}-${last} fib daddr type unicast ${setSlot(slot)} return`,
            );
          }),
          "ct direction original jump keep",
          ...farms
            .filter(({ box }) => box)
            .map(
              ({ slot }) => `ct direction original ct state new ${isOpen} fib daddr type unicast jump choose_${slot}`,
            ),
        ],
      },
      {
        name: "forward",
        base: "type filter hook forward priority -1; policy accept;",
        rules: [
          `${isPermitted} oifname != ${outside} ${clearSlot}`,
          // What was cut with its uplink is told so, and need not wait for its own time-out.
          ...(inside.length > 0
            ? [`iifname ${names(inside)} oifname ${outside} ct state invalid meta l4proto tcp reject with tcp reset`]
            : []),
        ],
      },
      {
        // Before the routing clears the mark at 90, and before nat.
        name: "postrouting",
        base: "type filter hook postrouting priority 80; policy accept;",
        rules: uplinks.map((each) => renderDeparture(each, uplinks)),
      },
      {
        name: "translate",
        base: "type nat hook postrouting priority 90; policy accept;",
        rules: uplinks.flatMap(renderTranslation),
      },
    ],
  };
}

/** Ties in their order, then the choice among all. */
function renderChoice(farm: Placed): string[] {
  const sources = (["ipv4", "ipv6"] as const).flatMap((family) => {
    const own = farm.sources.filter((each) => each.includes(":") === (family === "ipv6"));
    if (farm.sources.length === 0) return [];
    // With networks of one family alone, the other has none that may.
    return own.length === 0
      ? [`meta nfproto ${family} return`]
      : [`iif != lo meta nfproto ${family} ${words[family]} saddr != ${set(own)} return`];
  });
  return [
    ...sources,
    ...farm.ties.filter(({ answers }) => answers === undefined).flatMap((tie) => renderTie(farm, tie)),
    ...(["ipv4", "ipv6"] as const).flatMap((family) =>
      farm.uplinks.some((each) => each.family === family && farm.states.get(each.name) === "used")
        ? [`meta nfproto ${family} ${setSlot(farm.slot, true)} return`]
        : [],
    ),
  ];
}

function isUsable(state: UplinkState | undefined): boolean {
  return state === "used" || state === "standby";
}

function renderTie(farm: Placed, { source, destination, uplink: name, otherwise }: TieDocument): string[] {
  const uplink = farm.uplinks.find((each) => each.name === name);
  if (!uplink) return [];
  const ip = words[uplink.family];
  const match = [
    `meta nfproto ${uplink.family}`,
    ...(source === undefined ? [] : [`${ip} saddr ${source}`]),
    ...(destination === undefined ? [] : [`${ip} daddr ${destination}`]),
  ].join(" ");
  if (isUsable(farm.states.get(name))) return [`${match} ${setSlot(uplink.slot, true)} return`];
  return otherwise === "drop" ? [`${match} counter drop`] : [];
}

function renderAnswers(farm: Placed): string[] {
  return farm.ties.flatMap(({ answers, uplink: name }) => {
    const uplink = farm.uplinks.find((each) => each.name === name);
    if (answers === undefined || !uplink || !isUsable(farm.states.get(name))) return [];
    const own = answers.filter((each) => each.includes(":") === (uplink.family === "ipv6"));
    const ip = words[uplink.family];
    return own.length === 0 ? [] : [`ct original ${ip} daddr ${set(own)} ${setSlot(uplink.slot)} return`];
  });
}

function renderDeparture(uplink: Placed["uplinks"][number], all: readonly UplinkDocument[]): string {
  const { slot, family, gateway, interface: device } = uplink;
  const shared = all.filter((each) => each.interface === device && each.family === family).length > 1;
  const hop = shared ? ` rt ${words[family]} nexthop ${gateway}` : "";
  return `${isPermitted} meta nfproto ${family} oifname "${device}"${hop} ct direction original ct state new ct label set ${departureLabel(slot)} return`;
}

function renderTranslation({ slot, translation, prefix }: Placed["uplinks"][number]): string[] {
  const match = `ct label ${departureLabel(slot)}`;
  if (translation === "masquerade") return [`${match} masquerade`];
  if (translation === "prefix" && prefix)
    return [`${match} ip6 saddr ${prefix.inside} snat ip6 prefix to ${prefix.outside}`, `${match} masquerade`];
  return [];
}

/** Counters in a table of their own, so that they live through changes of the rules: bytes by uplink and direction. */
export function renderCounters(farms: readonly Placed[]): NftTable | undefined {
  const slots = farms.flatMap(({ uplinks }) => uplinks.map(({ slot }) => slot));
  if (slots.length === 0) return undefined;
  const count = (direction: string, way: string) =>
    slots.map((slot) => `ct label ${departureLabel(slot)} ct direction ${direction} counter comment "${way} ${slot}"`);
  return {
    name: countersTable,
    chains: [
      {
        name: "received",
        base: "type filter hook prerouting priority -138; policy accept;",
        rules: count("reply", "received"),
      },
      {
        name: "sent",
        base: "type filter hook postrouting priority 81; policy accept;",
        rules: count("original", "sent"),
      },
    ],
  };
}
