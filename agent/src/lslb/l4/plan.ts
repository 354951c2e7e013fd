import { isDeepStrictEqual } from "node:util";
import type { StepBase } from "../../commit/subsystem.ts";
import { addressFamily } from "../../configuration/fields.ts";
import { isSameFarm } from "./compare.ts";
import {
  type AddressDocument,
  type BackendDocument,
  type FarmDocument,
  type Farms,
  type L4Artefacts,
  type Marks,
  markKey,
} from "./document.ts";
import { assignMarks } from "./marks.ts";

/** Connections to end: those of a backend, or those to ports a farm gave up. */
export type Cut =
  | { of: "backend"; mark: number; families: ("ipv4" | "ipv6")[]; server?: string }
  | { of: "service"; address: string; document: AddressDocument };

export type L4Step = StepBase &
  (
    | { kind: "start-data-plane" }
    | { kind: "end-handover" }
    | { kind: "remember-marks"; marks: Marks }
    | { kind: "remove-farm"; farm: string }
    | { kind: "remove-address"; farm: string; address: string }
    | { kind: "add-farm"; farm: string; document: FarmDocument; marks: Marks }
    | { kind: "change-farm"; farm: string; document: FarmDocument }
    | { kind: "remove-backend"; farm: string; backend: string }
    | { kind: "set-backend"; farm: string; backend: string; change: Partial<BackendDocument>; mark?: number }
    | { kind: "add-address"; farm: string; address: string; document: AddressDocument }
    | { kind: "confirm-rules"; farms: Farms; marks: Marks; touched: string[] }
    | { kind: "cut-connections"; cut: Cut }
  );

/**
 * From what the data plane has to what it is to have, touching no more than differs: nftlb loads each change of a farm as one
 * transaction, and connections under way keep their translation, so nobody but the users of what is taken away notices.
 *
 * Order: what gives up addresses comes before what takes them; connections are cut last, when no new one can follow them.
 */
export function planDataPlane(now: L4Artefacts, wanted: L4Artefacts): L4Step[] {
  const { farms } = wanted;
  const marks = assignMarks(now.marks, farms);
  const restart = explainRestart(now, farms);
  const before: Farms = restart === undefined && now.dataPlane.state === "running" ? now.farms : {};
  const steps: L4Step[] = [];
  if (restart !== undefined) steps.push({ kind: "start-data-plane", summary: restart });
  steps.push(...planRemovals(before, farms));
  for (const [name, document] of Object.entries(farms))
    steps.push(...planFarm(name, keptFarm(before[name]), document, marks));
  if (steps.length > 0) {
    const touched = [...new Set(steps.flatMap((step) => ("farm" in step ? [step.farm] : [])))];
    steps.push({ kind: "confirm-rules", summary: "check that the kernel has the rules", farms, marks, touched });
  }
  if (restart !== undefined || now.handover)
    steps.push({ kind: "end-handover", summary: "let nftlb's rules take over from their copy" });
  if (marks !== now.marks)
    steps.unshift({ kind: "remember-marks", summary: "remember the connection marks of the backends", marks });
  steps.push(...planCuts(now, farms, marks));
  return steps;
}

/** Why nftlb must be started before anything else; undefined when it need not. */
function explainRestart({ dataPlane, farms }: L4Artefacts, wanted: Farms): string | undefined {
  if (dataPlane.state === "damaged") return `restart nftlb: ${dataPlane.reason}`;
  if (dataPlane.state === "stopped") return Object.keys(wanted).length > 0 ? "start nftlb" : undefined;
  return disturbsIpv6(farms, wanted)
    ? "restart nftlb: it cannot take an IPv6 address out without the others"
    : undefined;
}

/**
 * nftlb 1.0.7 counts the services of IPv6 farms as IPv4's (`update_service_counters` gets a constant for the family): when one
 * goes, it believes that none is left and removes the base chains of IPv6 from under the other farms.
 */
function disturbsIpv6(now: Farms, wanted: Farms): boolean {
  const services = listIpv6Services(now);
  const leaves = services.some(({ name, farm, address, document }) => {
    const target = keptFarm(farm) && wanted[name];
    return !target || target.mode !== farm.mode || !isDeepStrictEqual(target.addresses[address], document);
  });
  return leaves && (services.length > 1 || listIpv6Services(wanted).length > 1);
}

function listIpv6Services(farms: Farms) {
  return Object.entries(farms).flatMap(([name, farm]) =>
    Object.entries(farm.addresses)
      .filter(([, { family }]) => family === "ipv6")
      .map(([address, document]) => ({ name, farm, address, document })),
  );
}

/** A farm with settings that are not ours is made anew: nftlb keeps what a change does not name. */
function keptFarm(farm: FarmDocument | undefined): FarmDocument | undefined {
  return farm && Object.keys(farm.foreign).length === 0 ? farm : undefined;
}

function planRemovals(before: Farms, wanted: Farms): L4Step[] {
  const steps: L4Step[] = [];
  for (const [farm, document] of Object.entries(before)) {
    const target = keptFarm(document) && wanted[farm];
    if (target && isSameFarm(document, target)) continue;
    const addresses = Object.keys(document.addresses);
    const given = addresses.filter(
      (address) => !target || !isDeepStrictEqual(document.addresses[address], target.addresses[address]),
    );
    // Removed with more than one address, a farm leaves its chains behind, and a later one of its name would begin with them.
    for (const address of target ? given : addresses.slice(1))
      steps.push({ kind: "remove-address", summary: `farm ${farm}: close ${address}`, farm, address });
    if (!target) steps.push({ kind: "remove-farm", summary: `remove farm ${farm}`, farm });
  }
  return steps;
}

function planFarm(farm: string, before: FarmDocument | undefined, wanted: FarmDocument, marks: Marks): L4Step[] {
  if (!before)
    return [
      { kind: "add-farm", summary: `add farm ${farm}`, farm, document: wanted, marks: marksOf(farm, wanted, marks) },
    ];
  if (isSameFarm(before, wanted)) return [];
  const steps: L4Step[] = [];
  const { mode, scheduler, parameters } = wanted;
  if (before.mode !== mode || before.scheduler !== scheduler || before.parameters !== parameters)
    steps.push({ kind: "change-farm", summary: `farm ${farm}: change how it balances`, farm, document: wanted });
  for (const backend of Object.keys(before.backends))
    if (!wanted.backends[backend])
      steps.push({ kind: "remove-backend", summary: `farm ${farm}: remove backend ${backend}`, farm, backend });
  for (const [backend, document] of Object.entries(wanted.backends))
    steps.push(...planBackend(farm, backend, before.backends[backend], document, marks));
  for (const [address, document] of Object.entries(wanted.addresses))
    if (!isDeepStrictEqual(before.addresses[address], document))
      steps.push({ kind: "add-address", summary: `farm ${farm}: open ${address}`, farm, address, document });
  return steps;
}

function planBackend(
  farm: string,
  backend: string,
  before: BackendDocument | undefined,
  wanted: BackendDocument,
  marks: Marks,
): L4Step[] {
  const at = { farm, backend };
  const mark = marks[markKey(farm, backend)] ?? 0;
  if (!before)
    return [{ kind: "set-backend", summary: `farm ${farm}: add backend ${backend}`, ...at, change: wanted, mark }];
  const changed = Object.entries(wanted).filter(([key, value]) => before[key as keyof BackendDocument] !== value);
  if (changed.length === 0) return [];
  // A new priority of a backend that is not up makes nftlb take the whole farm down for a moment, so it is made anew.
  if (before.priority !== wanted.priority && before.state !== "up")
    return [
      { kind: "remove-backend", summary: `farm ${farm}: take out backend ${backend}`, ...at },
      { kind: "set-backend", summary: `farm ${farm}: put back backend ${backend}`, ...at, change: wanted, mark },
    ];
  const words = changed.map(([key, value]) => `${key} ${value === "" ? "of the client" : value}`).join(", ");
  const summary = `farm ${farm}: backend ${backend}: ${words}`;
  return [{ kind: "set-backend", summary, ...at, change: Object.fromEntries(changed) }];
}

function marksOf(farm: string, { backends }: FarmDocument, marks: Marks): Marks {
  return Object.fromEntries(Object.keys(backends).map((backend) => [backend, marks[markKey(farm, backend)] ?? 0]));
}

function planCuts(now: L4Artefacts, wanted: Farms, marks: Marks): L4Step[] {
  return [...planBackendCuts(now, wanted, marks), ...planServiceCuts(now, wanted)];
}

/** Backends that go, move or fall lose their connections. Those of a farm that goes are cut with its services, all at once. */
function planBackendCuts(now: L4Artefacts, wanted: Farms, marks: Marks): L4Step[] {
  const steps: L4Step[] = [];
  for (const key of Object.keys(now.marks)) {
    const farm = key.slice(0, key.indexOf("/"));
    const [before, target] = [now.farms[farm], wanted[farm]];
    if (before && !target) continue;
    if (before && target && key in marks && isSameFarm(before, target)) continue;
    const [backend, mark] = [key.slice(farm.length + 1), now.marks[key] as number];
    const had = before?.backends[backend];
    const has = target?.backends[backend];
    const moved = had && has && (had.address !== has.address || had.port !== has.port);
    const fell = has?.state === "down" && had?.state !== "down";
    if (key in marks && !moved && !fell) continue;
    const server = had?.address ?? has?.address;
    const families = server ? [addressFamily(server)] : (["ipv4", "ipv6"] as const).slice();
    steps.push({
      kind: "cut-connections",
      summary: `farm ${farm}: cut the connections to backend ${backend}`,
      cut: { of: "backend", mark, families, ...(server ? { server } : {}) },
    });
  }
  return steps;
}

/** Addresses and ports that a farm gives up lose their connections. */
function planServiceCuts(now: L4Artefacts, wanted: Farms): L4Step[] {
  const steps: L4Step[] = [];
  for (const [farm, document] of Object.entries(now.farms)) {
    const target = wanted[farm];
    if (target && isSameFarm(document, target)) continue;
    for (const [address, had] of Object.entries(document.addresses)) {
      const has = target?.addresses[address];
      const ports = has?.protocol === had.protocol ? subtractPorts(had.ports, has.ports) : had.ports;
      if (ports === "") continue;
      steps.push({
        kind: "cut-connections",
        summary: `farm ${farm}: cut the connections to ${had.protocol} ${ports} of ${address}`,
        cut: { of: "service", address, document: { ...had, ports } },
      });
    }
  }
  return steps;
}

/** The ports of one list that are not in another, both as {@link AddressDocument.ports}. */
export function subtractPorts(ports: string, others: string): string {
  let left = parseRanges(ports);
  for (const [first, last] of parseRanges(others))
    left = left.flatMap(([from, to]): [number, number][] => {
      if (last < from || first > to) return [[from, to]];
      const below: [number, number][] = from < first ? [[from, first - 1]] : [];
      return to > last ? [...below, [last + 1, to]] : below;
    });
  return left.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",");
}

export function parseRanges(ports: string): [number, number][] {
  return ports
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const [first = 0, last = first] = part.split("-").map(Number);
      return [first, last];
    });
}
