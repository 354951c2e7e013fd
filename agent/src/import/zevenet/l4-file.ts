import { z } from "zod";
import { describeIssues } from "../../configuration/issues.ts";

/** `<farm>_l4xnat.cfg`: as nftlb writes it (JSON, since 5.9), and before that in columns. Both are read into one shape. */

export type L4Source = {
  name: string;
  enabled: boolean;
  family: string;
  addresses: { address: string; ports: string; protocol: string }[];
  /** `tcp`, `udp`, `sctp`, `all` */
  protocol: string;
  /** `none`, `ftp`, `sip`, … */
  helper: string;
  /** `snat`, `dnat`, `dsr`, `stlsdnat`, `local` */
  mode: string;
  /** `weight`, `rr`, `hash`, `symhash`, `leastconn`, `prio` */
  scheduler: string;
  hashedBy: string;
  persistence: string;
  persistenceSeconds: string;
  sourceAddress: string;
  logged: boolean;
  /** Limits and the like that are set, `name value`. */
  others: string[];
  /** Names of whatever else is set: of the Enterprise Edition, or of a version to come. */
  unknown: string[];
  backends: L4SourceBackend[];
};

export type L4SourceBackend = {
  name: string;
  address: string;
  port: string;
  weight: string;
  priority: string;
  state: string;
  sourceAddress: string;
  connectionLimit: string;
  unknown: string[];
};

/** Throws an Error that says what is wrong with the file. */
export function parseL4File(farmName: string, text: string): L4Source[] {
  if (text.trim() === "") throw new Error("the file is empty");
  return /^\s*\{/.test(text) ? parseDocument(text) : [parseColumns(farmName, text)];
}

/** nftlb writes numbers as text, and reads both. */
const value = z
  .union([z.string(), z.number().transform(String)])
  .optional()
  .transform((text) => text ?? "");

const backendDocument = z.looseObject({
  name: value,
  "ip-addr": value,
  port: value,
  weight: value,
  priority: value,
  state: value,
  "source-addr": value,
  "est-connlimit": value,
});

const farmDocument = z.looseObject({
  name: value,
  family: value,
  "virtual-addr": value,
  "virtual-ports": value,
  addresses: z.array(z.looseObject({ "ip-addr": value, ports: value, protocol: value })).optional(),
  protocol: value,
  helper: value,
  mode: value,
  scheduler: value,
  "sched-param": value,
  persistence: value,
  "persist-ttl": value,
  "source-addr": value,
  log: value,
  state: value,
  backends: z.array(backendDocument).default([]),
});

const document = z.looseObject({ farms: z.array(farmDocument) });

const limits = ["new-rtlimit", "rst-rtlimit", "est-connlimit", "tcp-strict", "queue", "policies"];

/** What goes with something above, or is nftlb's own bookkeeping. */
const minor =
  /^(?:mark|priority|iface|oface|ether-addr|iether-addr|oether-addr|limits-ttl|log-rtlimit|log-prefix|.*-(?:burst|log-prefix|logprefix))$/;

function listUnknown(given: Record<string, unknown>, known: z.ZodObject): string[] {
  const isKnown = (key: string) => Object.hasOwn(known.shape, key) || limits.includes(key) || minor.test(key);
  return Object.entries(given).flatMap(([key, each]) => (isKnown(key) || !isSet(each) ? [] : key));
}

function parseDocument(text: string): L4Source[] {
  const parsed = document.safeParse(parseJson(text));
  if (!parsed.success) {
    const [problem] = describeIssues(parsed.error);
    throw new Error(`${problem?.path}: ${problem?.message}`);
  }
  if (parsed.data.farms.length === 0) throw new Error("it holds no farm");
  return parsed.data.farms.map((farm) => {
    const { name, family, protocol } = farm;
    const own = { address: farm["virtual-addr"], ports: farm["virtual-ports"], protocol };
    const listed = (farm.addresses ?? []).map((each) => ({
      address: each["ip-addr"],
      ports: each.ports || own.ports,
      protocol: each.protocol || protocol,
    }));
    return {
      name,
      family,
      enabled: farm.state !== "down" && farm.state !== "off",
      addresses: own.address !== "" || listed.length === 0 ? [own] : listed,
      protocol: protocol || "tcp",
      helper: farm.helper || "none",
      mode: farm.mode || "snat",
      scheduler: farm.scheduler || "rr",
      hashedBy: farm["sched-param"],
      persistence: farm.persistence || "none",
      persistenceSeconds: farm["persist-ttl"],
      sourceAddress: farm["source-addr"],
      logged: farm.log !== "" && farm.log !== "none",
      others: limits.flatMap((key) => (isSet(farm[key]) ? `${key} ${JSON.stringify(farm[key])}` : [])),
      unknown: listUnknown(farm, farmDocument),
      backends: farm.backends.map((each) => ({
        name: each.name,
        address: each["ip-addr"],
        port: each.port,
        weight: each.weight,
        priority: each.priority,
        state: each.state,
        sourceAddress: each["source-addr"],
        connectionLimit: each["est-connlimit"],
        unknown: listUnknown(each, backendDocument),
      })),
    };
  });
}

function isSet(given: unknown): boolean {
  if (given === undefined || given === null || (Array.isArray(given) && given.length === 0)) return false;
  return !/^(?:|0|off|-1|0\/second)$/.test(String(given));
}

/** The product takes lines out of what nftlb wrote, which can leave a comma before a bracket. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    try {
      return JSON.parse(text.replace(/,(\s*[}\]])/g, "$1"));
    } catch {
      throw new Error(`the file is damaged: ${(error as Error).message}`);
    }
  }
}

/**
 * `web;tcp;192.0.2.10;80,8000:8010;nat;weight;none;120;up` and, for each backend,
 * `;server;198.51.100.1;80;0x200;1;1;up;0`.
 */
function parseColumns(farmName: string, text: string): L4Source {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const head = lines.find((line) => !line.startsWith(";"))?.split(";") ?? [];
  if (head.length < 9) throw new Error("the file is damaged: expected a line of nine columns that describes the farm");
  const [name = farmName, protocol = "", address = "", ports = "", nat = "", scheduler = ""] = head;
  const [persistence = "", seconds = "", status = ""] = head.slice(6);
  const helper = /^(?:tcp|udp|sctp|all)$/.test(protocol) ? "none" : protocol;
  const transport = helper === "none" ? protocol : helper === "tftp" ? "udp" : "tcp";
  const backends = lines
    .filter((line) => line.startsWith(";server;"))
    .map((line, at) => {
      const [, , ip = "", port = "", , weight = "", priority = "", state = "", connectionLimit = ""] = line.split(";");
      return {
        name: `bck${at}`,
        address: ip,
        port,
        weight,
        priority,
        state,
        sourceAddress: "",
        connectionLimit,
        unknown: [],
      };
    });
  return {
    name,
    family: address.includes(":") ? "ipv6" : "ipv4",
    enabled: status.trim() !== "down",
    addresses: [{ address, ports: ports === "*" ? "" : ports.replaceAll(":", "-"), protocol: transport }],
    protocol: transport,
    helper,
    mode: nat === "nat" ? "snat" : nat,
    scheduler,
    hashedBy: "",
    persistence: persistence === "ip" ? "srcip" : persistence || "none",
    persistenceSeconds: seconds,
    sourceAddress: "",
    logged: false,
    others: [],
    unknown: [],
    // Only the algorithm prio looked at priorities.
    backends: scheduler === "prio" ? backends : backends.map((each) => ({ ...each, priority: "" })),
  };
}
