import ipaddr from "ipaddr.js";
import type { Finding } from "../../commit/subsystem.ts";
import { addressFamily, splitPortRange, splitPrefixed } from "../../configuration/fields.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { findWayOut, vrfsOfMembers } from "../../configuration/vrf.ts";
import { highestBackendCount } from "./document.ts";
import type { L4Farm } from "./schema.ts";

/** Farms of this subsystem, by name, in the order in which findings blame them: an overlap is the later one's. */
type Farms = [name: string, farm: L4Farm][];

/** Every finding about the L4xNAT farms. */
export function verifyFarms(configuration: Configuration): Finding[] {
  const farms: Farms = Object.entries(configuration.farms)
    .filter(([, { profile }]) => profile === "l4xnat")
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const owned = ownedAddresses(configuration);
  return [
    ...farms.flatMap(([name, farm]) => findShape(`farms.${name}`, farm)),
    ...verifyOwnership(farms, owned),
    ...verifyManagement(farms, configuration, owned),
    ...verifyOverlaps(farms),
    ...verifyBackendAddresses(farms, owned),
    ...verifyKeptApart(farms, configuration, owned),
    ...verifyCount(farms),
  ];
}

/** A farm that did not change is the same object in the next configuration, and has the same shape. */
const shapes = new WeakMap<L4Farm, { path: string; findings: Finding[] }>();

function findShape(path: string, farm: L4Farm): Finding[] {
  const known = shapes.get(farm);
  if (known?.path === path) return known.findings;
  const findings = verifyShape(path, farm);
  shapes.set(farm, { path, findings });
  return findings;
}

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** What can be said of a farm without looking at anything else. */
function verifyShape(path: string, farm: L4Farm): Finding[] {
  const findings: Finding[] = [];
  const family = addressFamily(farm.virtualAddresses[0] ?? "");
  farm.virtualAddresses.forEach((address, at) => {
    const where = `${path}.virtualAddresses.${at}`;
    if (addressFamily(address) !== family)
      findings.push(error(where, `${address} is not ${say(family)} like the first: make one farm for each family`));
    if (farm.virtualAddresses.indexOf(address) < at) findings.push(error(where, `${address} is listed twice`));
  });
  farm.ports.forEach((range, at) => {
    const twin = farm.ports.slice(0, at).find((other) => overlap(splitPortRange(range), splitPortRange(other)));
    if (twin !== undefined)
      findings.push(error(`${path}.ports.${at}`, `${range} overlaps ${twin === range ? "the same port" : twin} above`));
  });
  const backends = Object.entries(farm.backends);
  if (backends.length === 0) findings.push(warning(`${path}.backends`, "there is no backend: nobody answers clients"));
  else if (farm.enabled && !backends.some(([, { state }]) => state === "up"))
    findings.push(warning(`${path}.backends`, "no backend is up: nobody answers clients"));
  findings.push(...verifyBackendPorts(path, farm));
  const seen = new Map<string, string>();
  for (const [name, { address, port }] of backends) {
    const where = `${path}.backends.${name}`;
    if (addressFamily(address) !== family)
      findings.push(error(`${where}.address`, `${address} is not ${say(family)} like the farm's virtual addresses`));
    const target = `${address} ${port ?? ""}`;
    const twin = seen.get(target);
    if (twin !== undefined)
      findings.push(
        error(`${where}.address`, `is the same server and port as backend ${twin}: raise its weight instead`),
      );
    else seen.set(target, name);
  }
  return findings;
}

/** A farm of several ports sends each connection to the port the client asked for, or all to one: not a mix of the two. */
function verifyBackendPorts(path: string, { ports, backends }: L4Farm): Finding[] {
  const [range = "0", ...others] = ports;
  const { first, last } = splitPortRange(range);
  if (others.length === 0 && first === last) return [];
  const named = Object.entries(backends).filter(([, { port }]) => port !== undefined);
  if (named.length === 0) return [];
  if (named.length < Object.keys(backends).length)
    return named.map(([name]) =>
      error(
        `${path}.backends.${name}.port`,
        "the farm has several ports and other backends name none: name a port for every backend, or for none of them",
      ),
    );
  return named.map(([name, { port }]) =>
    warning(
      `${path}.backends.${name}.port`,
      `every port of the farm leads to port ${port}: leave it out to keep the client's`,
    ),
  );
}

type OwnedAddresses = ReturnType<typeof ownedAddresses>;

/** The addresses the box is told to have, and whether it may get others from the network. */
function ownedAddresses({ interfaces, virtualAddresses }: Configuration) {
  const fixed = new Map<string, string>();
  for (const [name, { enabled, ipv4, ipv6 }] of Object.entries(interfaces))
    for (const settings of [ipv4, ipv6])
      if (enabled && settings.method === "static")
        for (const each of settings.addresses) fixed.set(splitPrefixed(each).address, name);
  const virtual = new Map(Object.values(virtualAddresses).map((each) => [splitPrefixed(each.address).address, each]));
  const dynamic = {
    ipv4: Object.values(interfaces).some(({ enabled, ipv4 }) => enabled && ipv4.method === "dhcp"),
    ipv6: Object.values(interfaces).some(
      ({ enabled, ipv6 }) => enabled && ["automatic", "slaac", "dhcp"].includes(ipv6.method),
    ),
  };
  return { fixed, virtual, dynamic };
}

function verifyOwnership(farms: Farms, { fixed, virtual, dynamic }: OwnedAddresses): Finding[] {
  const findings: Finding[] = [];
  for (const [name, farm] of farms) {
    farm.virtualAddresses.forEach((address, at) => {
      const where = `farms.${name}.virtualAddresses.${at}`;
      if (fixed.has(address)) return;
      const virtualAddress = virtual.get(address);
      if (virtualAddress?.enabled === false)
        findings.push(warning(where, `the virtual address ${address} is not enabled: clients cannot reach it`));
      if (virtualAddress) return;
      if (dynamic[addressFamily(address)])
        findings.push(
          warning(where, `${address} is in no virtual address: the farm works if an interface is given it`),
        );
      else findings.push(error(where, `the box does not have ${address}: add a virtual address for it first`));
    });
  }
  return findings;
}

/** A farm on the management port of an address would take the API or SSH away from whoever manages the box there. */
function verifyManagement(farms: Farms, { system }: Configuration, { fixed, virtual }: OwnedAddresses): Finding[] {
  const { management, ssh } = system;
  const services = [{ port: management.port, name: "the management API" }];
  if (ssh.enabled) services.push({ port: ssh.port, name: "SSH" });
  const findings: Finding[] = [];
  for (const [name, { enabled, protocol, ports, virtualAddresses }] of farms) {
    if (!enabled || protocol !== "tcp") continue;
    ports.forEach((range, at) => {
      for (const service of services) {
        if (!overlap(splitPortRange(range), { first: service.port, last: service.port })) continue;
        for (const address of virtualAddresses) {
          const words = `port ${service.port} of ${address} is that of ${service.name}`;
          const own = virtual.get(address);
          if (fixed.has(address) || !own) findings.push(error(`farms.${name}.ports.${at}`, words));
          else if (management.interfaces.includes(own.interface))
            findings.push(warning(`farms.${name}.ports.${at}`, `${words}: it will not answer there any more`));
        }
      }
    });
  }
  return findings;
}

/** Two enabled farms cannot have the same address, port and protocol; the same port for tcp and for udp is fine. */
function verifyOverlaps(farms: Farms): Finding[] {
  const findings: Finding[] = [];
  const services = new Map<string, TakenPorts>();
  for (const [name, { enabled, protocol, ports, virtualAddresses }] of farms) {
    if (!enabled) continue;
    const ranges = ports.map((range) => ({ range, ...splitPortRange(range) }));
    const keys = [...new Set(virtualAddresses)].map((address) => ({ address, key: `${protocol} ${address}` }));
    ranges.forEach(({ range, ...entry }, at) => {
      for (const { address, key } of keys) {
        const other = services.get(key)?.find(entry);
        if (other !== undefined)
          findings.push(
            error(`farms.${name}.ports.${at}`, `${protocol} ${range} of ${address} is taken by farm ${other}`),
          );
      }
    });
    // Afterwards: what overlaps within the farm is of its shape.
    for (const { key } of keys) {
      const taken = services.get(key) ?? makeTakenPorts();
      services.set(key, taken);
      for (const entry of ranges) taken.add(entry, name);
    }
  }
  return findings;
}

type TakenPorts = ReturnType<typeof makeTakenPorts>;

/** Who has which port of an address. Thousands of single ports are looked up, not gone through; ranges are few. */
function makeTakenPorts() {
  const single = new Map<number, { name: string; order: number }>();
  const wide: (Range & { name: string; order: number })[] = [];
  let order = 0;
  return {
    add({ first, last }: Range, name: string): void {
      order++;
      if (first < last) wide.push({ first, last, name, order });
      else if (!single.has(first)) single.set(first, { name, order });
    },
    /** The farm that came first of those that overlap. */
    find(range: Range): string | undefined {
      const inWide = wide.find((each) => overlap(each, range));
      let found: { name: string; order: number } | undefined = inWide;
      const note = (each: { name: string; order: number } | undefined) => {
        if (each && (!found || each.order < found.order)) found = each;
      };
      if (range.last - range.first < single.size)
        for (let port = range.first; port <= range.last; port++) note(single.get(port));
      else for (const [port, each] of single) if (port >= range.first && port <= range.last) note(each);
      return found?.name;
    },
  };
}

const unreachable = new Set(["unspecified", "broadcast", "multicast", "linkLocal", "loopback", "reserved"]);

/** Traffic is translated once: a backend must be another machine, and one that packets can be sent to. */
function verifyBackendAddresses(farms: Farms, { fixed, virtual }: OwnedAddresses): Finding[] {
  const served = new Map(farms.flatMap(([name, farm]) => farm.virtualAddresses.map((address) => [address, name])));
  const findings: Finding[] = [];
  for (const [name, farm] of farms) {
    for (const { backend, address, range } of listTargets(farm)) {
      const other = served.get(address);
      const owned = other === undefined && (fixed.has(address) || virtual.has(address));
      if (other === undefined && !owned && range === undefined) continue;
      const where = `farms.${name}.backends.${backend}.address`;
      if (other !== undefined)
        findings.push(
          error(where, `${address} is a virtual address of farm ${other}: a backend must be another machine`),
        );
      if (owned)
        findings.push(error(where, `${address} is an address of the box itself: a backend must be another machine`));
      if (range !== undefined)
        findings.push(error(where, `${address} is a ${range} address: no packet can be forwarded to it`));
    }
  }
  return findings;
}

/** Farms serve from the main routing table: neither an address nor a backend of theirs is behind a VRF. */
function verifyKeptApart(farms: Farms, { interfaces }: Configuration, { fixed }: OwnedAddresses): Finding[] {
  const vrfs = vrfsOfMembers(interfaces);
  if (vrfs.size === 0) return [];
  const findings: Finding[] = [];
  for (const [name, farm] of farms) {
    farm.virtualAddresses.forEach((address, at) => {
      const vrf = vrfs.get(fixed.get(address) ?? "");
      if (vrf)
        findings.push(
          error(`farms.${name}.virtualAddresses.${at}`, `${address} is in the VRF ${vrf.name}, which no farm serves`),
        );
    });
    for (const [backend, { address }] of Object.entries(farm.backends)) {
      const vrf = findWayOut(interfaces, address);
      if (!vrf) continue;
      const words = `${address} is among the destinations of the VRF ${vrf.name}: what it answers is dropped`;
      findings.push(error(`farms.${name}.backends.${backend}.address`, words));
    }
  }
  return findings;
}

type Target = { backend: string; address: string /** Of what kind, when nothing can be sent there. */; range?: string };

/** Parsing ten thousand addresses takes longer than all other checks; a farm that did not change is the same object. */
const targets = new WeakMap<L4Farm, Target[]>();

function listTargets(farm: L4Farm): Target[] {
  const known = targets.get(farm);
  if (known) return known;
  const list = Object.entries(farm.backends).map(([backend, { address }]): Target => {
    const range = ipaddr.parse(address).range();
    const useless = unreachable.has(range) && !isPlainReserved(address);
    return { backend, address, ...(useless ? { range } : {}) };
  });
  targets.set(farm, list);
  return list;
}

/** ipaddr.js calls the documentation and test networks reserved too; those are routed like any other. */
function isPlainReserved(address: string): boolean {
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "reserved") return false;
  return parsed.kind() === "ipv6" || !parsed.match(ipaddr.parse("240.0.0.0"), 4);
}

/** Each port of each address is an entry of two maps in the kernel; 65,535 of them take a second to load and 3 s to read back. */
const highestPortCount = 65_535;

function verifyCount(farms: Farms): Finding[] {
  const enabled = farms.filter(([, farm]) => farm.enabled).map(([, farm]) => farm);
  const sum = (count: (farm: L4Farm) => number) => enabled.reduce((total, farm) => total + count(farm), 0);
  const backends = sum((farm) => Object.keys(farm.backends).length);
  const ports = sum((farm) => farm.virtualAddresses.length * countPorts(farm.ports));
  const findings: Finding[] = [];
  if (backends > highestBackendCount)
    findings.push(
      error("farms", `${backends} backends in all: the data plane tells at most ${highestBackendCount} apart`),
    );
  if (ports > highestPortCount)
    findings.push(
      error(
        "farms",
        `${ports} ports in all, counted for each address: the data plane takes at most ${highestPortCount}`,
      ),
    );
  return findings;
}

function countPorts(ranges: readonly string[]): number {
  return ranges.map(splitPortRange).reduce((total, { first, last }) => total + last - first + 1, 0);
}

type Range = { first: number; last: number };

function overlap(one: Range, other: Range): boolean {
  return one.first <= other.last && other.first <= one.last;
}

function say(family: "ipv4" | "ipv6"): string {
  return family === "ipv4" ? "IPv4" : "IPv6";
}
