import type { Finding } from "../../commit/subsystem.ts";
import type { Configuration } from "../../configuration/schema.ts";
import type { NetworkInterface } from "../schema.ts";
import type { Card } from "./schema.ts";

/** What is wrong with settings of cards, whichever card it is. What one card takes, only the machine knows: check of apply.ts. */
export function verifyCards({ interfaces }: Pick<Configuration, "interfaces">): Finding[] {
  return Object.entries(interfaces).flatMap(([name, settings]) => verifyCard(`interfaces.${name}.card`, settings));
}

function verifyCard(path: string, { kind, card }: NetworkInterface): Finding[] {
  if (!card) return [];
  const error = (field: string, message: string): Finding => ({ severity: "error", path: `${path}${field}`, message });
  if (kind !== "ethernet") return [error("", `expected no settings of a card: the kind is ${kind}`)];
  return [
    ...verifyCoalescing(card.coalescing ?? {}).map(([field, message]) => error(`.coalescing.${field}`, message)),
    ...verifyOffloads(card.offloads ?? {}).map(([field, message]) => error(`.offloads.${field}`, message)),
  ];
}

/** What the card finds by itself moves: it could not be told from drift. */
function verifyCoalescing(coalescing: NonNullable<Card["coalescing"]>): [string, string][] {
  const found: [string, string][] = [];
  for (const [adaptive, fields] of [
    ["adaptiveReceive", ["receiveMicroseconds", "receiveFrames"]],
    ["adaptiveSend", ["sendMicroseconds", "sendFrames"]],
  ] as const)
    for (const field of fields)
      if (coalescing[adaptive] === true && coalescing[field] !== undefined)
        found.push([field, `expected no value: with ${adaptive} the card finds it by itself`]);
  return found;
}

/** The kernel switches these off together, whatever it was asked for (netdev_fix_features in net/core/dev.c). */
const needs = [
  ["tcpSegmentation", "sendChecksum"],
  ["tcpSegmentation", "scatterGather"],
  ["genericSegmentation", "scatterGather"],
  ["genericReceiveHardware", "receiveChecksum"],
] as const;

function verifyOffloads(offloads: NonNullable<Card["offloads"]>): [string, string][] {
  return needs
    .filter(([one, other]) => offloads[one] === true && offloads[other] === false)
    .map(([one, other]) => [one, `expected false: it needs ${other}`]);
}
