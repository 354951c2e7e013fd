import type { StepBase } from "../commit/subsystem.ts";
import { compareLinks, describeDifference, needsRemaking } from "./link-differences.ts";
import { addressesOf, type InterfaceArtefact, type NetworkArtefacts } from "./render.ts";
import type { LinkArtefact } from "./render-netdev.ts";
import { orderByFoundation } from "./topology.ts";

/** What must be true of the kernel when a step is done. */
export type Expectation = {
  interface: string;
  /** Addresses with prefix length that must be there, and those that must be gone. */
  present: string[];
  absent: string[];
  up: boolean;
  /** The bond, bridge or VRF it must belong to; undefined: none. */
  master?: string | undefined;
  /** Of a link that the box makes. */
  link?: LinkArtefact | undefined;
  mtu?: number | undefined;
  alias: string;
  /** Where the configuration gives each address, for complaints. */
  addressPaths?: Record<string, string> | undefined;
};

/** Takes a link away that the box made, with all it carries: because it is not wanted, or to make it anew. */
export type RemoveStep = StepBase & { kind: "remove-link"; interface: string };

/** Has networkd make a link, or tells it of one that is changed. A VLAN comes when its parent is configured. */
export type DefineStep = StepBase & { kind: "define-link"; interface: string; netdev: string };

/** Gives an interface a new file; networkd applies the difference and leaves the rest of the interface as it is. */
export type ConfigureStep = StepBase & {
  kind: "configure-interface";
  file: string;
  /** Addresses that come new to this interface: neighbours are told. */
  announce: string[];
  expect: Expectation;
};

/** The file is right, the kernel is not: somebody else has changed it. */
export type RepairStep = StepBase & { kind: "repair-interface"; announce: string[]; expect: Expectation };

/** The interface is no longer configured: addresses off, link down, file away. */
export type ReleaseStep = StepBase & { kind: "release-interface"; expect: Expectation };

export type NetworkStep = RemoveStep | DefineStep | ConfigureStep | RepairStep | ReleaseStep;

/**
 * Steps from what is to what is wanted: links go from the top down, and come from the ground up. An address that moves
 * between interfaces leaves the old one first, so that no two interfaces answer for it.
 */
export function planNetwork(now: NetworkArtefacts, wanted: NetworkArtefacts): NetworkStep[] {
  const removed = findRemoved(now, wanted);
  const topDown = orderByFoundation(lowerOf(now)).reverse();
  const removals = topDown.filter((name) => removed.has(name)).map((name) => remove(name, now, wanted));
  const releases = topDown
    .filter((name) => !Object.hasOwn(wanted, name) && !removed.has(name))
    .map((name) => release(name, now[name]));
  const groundUp = orderByFoundation(lowerOf(wanted));
  const definitions: NetworkStep[] = [];
  const changes: (ConfigureStep | RepairStep)[] = [];
  for (const name of groundUp) {
    const artefact = wanted[name] as InterfaceArtefact;
    const before = Object.hasOwn(now, name) && !removed.has(name) ? now[name] : undefined;
    if (artefact.link && before?.link?.netdev !== artefact.link.netdev)
      definitions.push(define(name, artefact.link, before !== undefined));
    const same = before?.file === artefact.file && before.link?.netdev === artefact.link?.netdev;
    const remade = findRemade(name, artefact, wanted, removed);
    if (before && same && remade.length === 0) changes.push(...repair(name, before, artefact, now));
    else changes.push(configure(name, before, artefact, before && same ? remade : []));
  }
  return [...removals, ...releases, ...definitions, ...changes.sort((one, other) => rank(one) - rank(other))];
}

/** What has to be there before: what it stands on, and the VRF it is to be in. */
function lowerOf(artefacts: NetworkArtefacts): Record<string, string[]> {
  const isVrf = (name: string) => Object.hasOwn(artefacts, name) && artefacts[name]?.link?.kind === "vrf";
  return Object.fromEntries(
    Object.entries(artefacts).map(([name, { lower, master }]) => [
      name,
      master !== undefined && isVrf(master) ? [...lower, master] : lower,
    ]),
  );
}

/** Links that go: unwanted ones, ones that only come anew, and VLANs whose parent goes, for they go with it. */
function findRemoved(now: NetworkArtefacts, wanted: NetworkArtefacts): Set<string> {
  const removed = new Set<string>();
  for (const name of orderByFoundation(lowerOf(now))) {
    const before = now[name] as InterfaceArtefact;
    if (!before.link) continue;
    const after = Object.hasOwn(wanted, name) ? wanted[name]?.link : undefined;
    const parent = before.link.kind === "vlan" ? before.lower[0] : undefined;
    const falls = parent !== undefined && removed.has(parent);
    if (!after || falls || isLost(before, now) || (before.seen?.present !== false && needsRemaking(before.link, after)))
      removed.add(name);
  }
  return removed;
}

/** Somebody deleted it: what it stands on is there. A VLAN on a card that is away waits for it. */
function isLost({ seen, link, lower }: InterfaceArtefact, now: NetworkArtefacts): boolean {
  if (seen?.present !== false) return false;
  return link?.kind !== "vlan" || lower.every((name) => now[name]?.seen?.present !== false);
}

/**
 * What is made anew above this interface: its bond, bridge or VRF, VLANs on it. Its file is written again, for networkd joins a link
 * to what it knew when it read the file.
 */
function findRemade(
  name: string,
  { master }: InterfaceArtefact,
  wanted: NetworkArtefacts,
  removed: ReadonlySet<string>,
): string[] {
  const carried = [...removed].filter((each) => {
    const link = Object.hasOwn(wanted, each) ? wanted[each]?.link : undefined;
    return link?.kind === "vlan" && link.attributes.parent === name;
  });
  const joins = master !== undefined && removed.has(master) ? [`into ${master} again`] : [];
  return [...joins, ...carried.map((each) => `with ${each} again`)];
}

function rank(step: ConfigureStep | RepairStep): number {
  return step.expect.absent.length > 0 ? 0 : 1;
}

function remove(name: string, now: NetworkArtefacts, wanted: NetworkArtefacts): RemoveStep {
  const before = now[name] as InterfaceArtefact;
  const after = Object.hasOwn(wanted, name) ? wanted[name]?.link : undefined;
  const what = `${before.link?.kind ?? "link"} ${name}`;
  if (!after || !before.link) return { kind: "remove-link", interface: name, summary: `remove ${what}` };
  const differences =
    before.seen?.present === false
      ? ["it is gone"]
      : compareLinks(before.link.attributes, after.attributes).map(describeDifference);
  const reasons = differences.length > 0 ? differences.join(", ") : "what it stands on is made anew";
  const summary = `remove ${what} to make it anew: ${reasons} (its traffic stops meanwhile)`;
  return { kind: "remove-link", interface: name, summary };
}

function release(name: string, before: InterfaceArtefact | undefined): ReleaseStep {
  const absent = before ? addressesOf(before.file) : [];
  return {
    kind: "release-interface",
    summary: `release interface ${name}`,
    expect: { interface: name, present: [], absent, up: false, alias: "" },
  };
}

function define(name: string, { kind, netdev }: LinkArtefact, known: boolean): DefineStep {
  const summary = `${known ? "change" : "define"} ${kind} ${name}`;
  return { kind: "define-link", interface: name, netdev, summary };
}

function configure(
  name: string,
  before: InterfaceArtefact | undefined,
  wanted: InterfaceArtefact,
  remade: readonly string[],
): ConfigureStep {
  const present = wanted.addresses;
  const absent = before ? addressesOf(before.file).filter((each) => !present.includes(each)) : [];
  const announce = present.filter((each) => !before?.addresses.includes(each));
  const changes = [
    ...announce.map((each) => `+${each}`),
    ...absent.map((each) => `-${each}`),
    ...(before?.master === wanted.master ? [] : [wanted.master ? `into ${wanted.master}` : `out of ${before?.master}`]),
    ...(before?.link && wanted.link
      ? compareLinks(before.link.attributes, wanted.link.attributes).map(describeDifference)
      : []),
    ...remade,
  ].filter((each) => each !== "out of undefined");
  const details = changes.length > 0 ? ` (${changes.join(" ")})` : "";
  return {
    kind: "configure-interface",
    summary: `${before ? "change" : "set up"} interface ${name}${details}`,
    file: wanted.file,
    announce,
    expect: { ...expectationOf(name, wanted), absent },
  };
}

function expectationOf(
  name: string,
  { addresses, addressPaths, up, master, link, mtu, alias }: InterfaceArtefact,
): Expectation {
  return { interface: name, present: addresses, addressPaths, absent: [], up, master, link, mtu, alias };
}

function repair(name: string, now: InterfaceArtefact, wanted: InterfaceArtefact, all: NetworkArtefacts): RepairStep[] {
  // A card that is not there is repaired by the hand that plugs it in.
  if (now.seen?.present === false) return [];
  const missing = wanted.addresses.filter((each) => !now.addresses.includes(each));
  // Without carrier the kernel may drop a gateway and nothing can bring it back.
  const lost = now.seen?.carrier === false ? [] : wanted.gateways.filter((each) => !now.gateways.includes(each));
  const state = wanted.up ? "up" : "down";
  const present = (each: string) => all[each]?.seen?.present !== false;
  const differences = now.link && wanted.link ? compareLinks(now.link.attributes, wanted.link.attributes, present) : [];
  const moved = now.master !== wanted.master;
  const reasons = [
    ...missing.map((each) => `${each} is gone`),
    ...lost.map((each) => `gateway ${each} is gone`),
    ...(now.up === wanted.up ? [] : [`it is not ${state}`]),
    ...(moved
      ? [wanted.master === undefined ? `it belongs to ${now.master}` : `it is no member of ${wanted.master}`]
      : []),
    ...(wanted.mtu === undefined || now.mtu === undefined || now.mtu === wanted.mtu ? [] : [`its MTU is ${now.mtu}`]),
    ...(now.alias === wanted.alias ? [] : [`its alias is ${now.alias || "none"}`]),
    ...differences.map(describeDifference),
  ];
  if (reasons.length === 0) return [];
  return [
    {
      kind: "repair-interface",
      summary: `repair interface ${name}: ${reasons.join(", ")}`,
      announce: missing,
      expect: expectationOf(name, wanted),
    },
  ];
}
