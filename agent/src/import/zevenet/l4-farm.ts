import { canonicalAddress, isAddress, objectName, portRange } from "../../configuration/fields.ts";
import { type L4Backend, type L4Farm, l4Farm } from "../../lslb/l4/schema.ts";
import { type Draft, makeName, report, reportTaken } from "./draft.ts";
import { parseTiny } from "./formats.ts";
import { type L4Source, type L4SourceBackend, parseL4File } from "./l4-file.ts";
import { later } from "./report.ts";
import { readText } from "./source.ts";

/** `<farm>_l4xnat.cfg` becomes a farm of profile l4xnat. */

const fileName = /^(.+)_l4xnat\.cfg$/;

export function readL4Farms(draft: Draft): void {
  const { configuration } = draft.source;
  const schedulers = parseTiny(readText(configuration, "l4sd.cfg") ?? "");
  if (configuration.has("l4sd.cfg")) draft.seen.add("l4sd.cfg");
  const taken = new Set<string>();
  // Names that are good as they stand are kept, whatever is called almost the same and comes first.
  const kept = new Set([...configuration.keys()].flatMap((path) => fileName.exec(path)?.[1] ?? []).filter(isName));
  for (const path of [...configuration.keys()].sort()) {
    const name = fileName.exec(path)?.[1];
    if (name === undefined) continue;
    try {
      for (const farm of parseL4File(name, readText(configuration, path) ?? "")) {
        const least = schedulers.get(farm.name)?.get("type") === "leastconn";
        readL4Farm(draft, path, least ? { ...farm, scheduler: "leastconn" } : farm, taken, kept);
      }
    } catch (error) {
      report(draft, {
        kind: "l4xnat farm",
        name,
        file: path,
        result: "not-supported",
        notes: [(error as Error).message],
      });
    }
  }
}

function isName(text: string): boolean {
  return objectName.safeParse(text).success;
}

function readL4Farm(draft: Draft, path: string, source: L4Source, taken: Set<string>, kept: ReadonlySet<string>): void {
  const { candidate } = draft;
  const item = { kind: "l4xnat farm", name: source.name, file: path, content: { ...source } };
  const notes: string[] = [];
  const reason = refuse(draft, source);
  if (reason) {
    report(draft, { ...item, result: "not-supported", notes: [reason.words], ...reason.later });
    return;
  }

  const name = makeName(source.name, kept.has(source.name) ? taken : new Set([...taken, ...kept]));
  if (name !== source.name) notes.push(`names here are of a-z, 0-9, - and _: ${source.name} is ${name}`);
  if (Object.hasOwn(candidate.farms, name)) notes.push(`it replaces the farm ${name} of this box`);
  const farm = l4Farm.safeParse(makeFarm(source, notes));
  if (!farm.success) {
    const words = farm.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    report(draft, { ...item, result: "not-supported", notes: words });
    return;
  }
  taken.add(name);
  candidate.farms[name] = farm.data;
  reportTaken(draft, { ...item, target: `farms.${name}`, notes });
}

type Refusal = { words: string; later?: { later: string } };

/** Why a farm cannot be taken at all. */
function refuse({ lost }: Draft, source: L4Source): Refusal | undefined {
  const { protocol, helper, mode, addresses } = source;
  if (helper !== "none")
    return {
      words: `its protocol ${helper} needs a helper, which there is none of yet`,
      later: { later: later.helpers },
    };
  const odd = [protocol, ...addresses.map((each) => each.protocol)].find((each) => each !== "tcp" && each !== "udp");
  if (odd !== undefined && odd !== "")
    return { words: `the protocol ${odd} is not balanced here: make a farm for tcp and one for udp` };
  if (mode !== "snat" && mode !== "dnat")
    return { words: `the NAT type ${nameMode(mode)} is not there: nat and dnat are` };
  for (const { address } of addresses) {
    if (!isAddress(address)) return { words: `its virtual address ${JSON.stringify(address)} is no address` };
    const parent = lost.get(canonicalAddress(address));
    if (parent !== undefined)
      return { words: `its virtual address ${address} is that of ${parent}, which is not taken` };
  }
  const [first, ...others] = addresses;
  const differs = others.find((each) => each.ports !== first?.ports || each.protocol !== first?.protocol);
  if (differs)
    return { words: `its address ${differs.address} has other ports than the first: make one farm for each` };
  return undefined;
}

function nameMode(mode: string): string {
  return mode === "stlsdnat" ? "stateless DNAT" : mode.toUpperCase();
}

/** The farm, before its schema has looked at it. */
function makeFarm(source: L4Source, notes: string[]): Record<string, unknown> {
  const { addresses, sourceAddress, logged, others, persistenceSeconds } = source;
  if (sourceAddress !== "")
    notes.push(`the source address ${sourceAddress} is not taken: backends see the address of the interface`);
  if (logged) notes.push("connections are not logged here");
  for (const each of others) notes.push(`${each} is not taken: it is to come (${later.protection})`);
  if (source.unknown.length > 0) notes.push(`not taken, for it has no meaning here: ${source.unknown.join(", ")}`);
  const algorithm = chooseAlgorithm(source, notes);
  const named = source.persistence === "none" || persistenceSeconds === "" ? "" : ` (${persistenceSeconds} s)`;
  if (source.persistence !== "none") notes.push(`${describePersistence(source.persistence, algorithm)}${named}`);
  return {
    profile: "l4xnat",
    enabled: source.enabled,
    virtualAddresses: addresses.map(({ address }) => canonicalAddress(address)),
    ports: readPorts(addresses[0]?.ports ?? "", notes),
    protocol: addresses[0]?.protocol || source.protocol,
    natType: source.mode === "snat" ? "nat" : "dnat",
    algorithm,
    backends: readBackends(source, notes),
  } satisfies Partial<Record<keyof L4Farm, unknown>>;
}

/** A hash stands in for persistence: losing the backend breaks sessions, another share of the load does not. */
function chooseAlgorithm({ scheduler, hashedBy, persistence }: L4Source, notes: string[]): L4Farm["algorithm"] {
  if (/srcip|srcmac/.test(persistence))
    return /srcport/.test(persistence) ? "hash-source-address-port" : "hash-source-address";
  switch (scheduler) {
    case "weight":
      return "weight";
    case "rr":
    case "roundrobin":
      return "round-robin";
    case "hash":
      if (hashedBy === "srcip srcport") return "hash-source-address-port";
      if (hashedBy !== "srcip")
        notes.push(`the hash over ${hashedBy || "nothing"} is one over the source address here`);
      return "hash-source-address";
    case "symhash":
      notes.push("the symmetric hash is one over the source address here");
      return "hash-source-address";
    case "leastconn":
      notes.push("least connections is not there at layer 4: new connections are shared by weight");
      return "weight";
    case "prio":
      notes.push(
        "priority is no algorithm here but works with each: backends of the next priority are used when one is not up",
      );
      return "weight";
    default:
      notes.push(`the algorithm ${scheduler || "(none)"} is not there: new connections are shared by weight`);
      return "weight";
  }
}

function describePersistence(persistence: string, algorithm: string): string {
  if (algorithm.startsWith("hash"))
    return `persistence by ${persistence} is to come (${later.persistence}): until then the algorithm ${algorithm} keeps a client on its backend`;
  return `persistence by ${persistence} is to come (${later.persistence}) and is not kept`;
}

/** `80,443,8000-8010`; none stands for all. What is no port is left for the schema to refuse, in its words. */
function readPorts(text: string, notes: string[]): string[] {
  if (text === "" || text === "*" || text === "0-65535") {
    notes.push("all ports are 1-65535 here");
    return ["1-65535"];
  }
  const ports = text.split(",").map((each) => each.trim());
  const unique = [...new Set(ports)];
  if (unique.length < ports.length) notes.push("ports that were listed twice are listed once");
  return unique.map((each) => portRange.safeParse(each).data ?? each);
}

function readBackends({ backends }: L4Source, notes: string[]): Record<string, Record<string, unknown>> {
  const result: Record<string, Record<string, unknown>> = {};
  const places = new Map<string, string>();
  for (const [at, source] of backends.entries()) {
    const name = makeName(source.name || `bck${at}`, new Set(Object.keys(result)));
    const backend = readBackend(source, (words) => notes.push(`backend ${name}: ${words}`));
    const target = `${backend.address} ${backend.port ?? ""}`;
    const twin = result[places.get(target) ?? ""];
    if (twin) {
      twin.weight = Math.min(255, Number(twin.weight) + Number(backend.weight));
      notes.push(`backend ${name} is the same server and port as ${places.get(target)}: their weights are added`);
      continue;
    }
    places.set(target, name);
    result[name] = backend;
  }
  return result;
}

function readBackend(source: L4SourceBackend, note: (words: string) => void): Record<string, unknown> {
  const { address, port, sourceAddress, connectionLimit } = source;
  if (sourceAddress !== "") note(`the source address ${sourceAddress} is not taken`);
  if (source.unknown.length > 0) note(`not taken, for it has no meaning here: ${source.unknown.join(", ")}`);
  if (Number(connectionLimit) > 0) note(`the limit of ${connectionLimit} connections is not taken`);
  return {
    address: isAddress(address) ? canonicalAddress(address) : address,
    ...(port === "" || port === "0" ? {} : { port: Number(port) }),
    weight: within(source.weight, 255, "weight", note),
    priority: within(source.priority, 9, "priority", note),
    state: readState(source.state, note),
  } satisfies Partial<Record<keyof L4Backend, unknown>>;
}

function within(text: string, most: number, what: string, note: (words: string) => void): number {
  if (text === "") return 1;
  const number = Number(text);
  const usable = Number.isInteger(number) ? Math.min(Math.max(number, 1), most) : 1;
  if (usable !== number) note(`the ${what} ${text} is ${usable}: expected one from 1 to ${most}`);
  return usable;
}

/** What a health check had found is not what the operator wants: the backend is up until a check says otherwise here. */
function readState(state: string, note: (words: string) => void): L4Backend["state"] {
  if (state === "maintenance" || state === "off") return "maintenance";
  if (state !== "" && state !== "up" && state !== "available")
    note(`was ${state} when the backup was made, and is up here`);
  return "up";
}
