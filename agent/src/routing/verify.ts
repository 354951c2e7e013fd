import ipaddr from "ipaddr.js";
import { mainTable, permitBit, reservedTables, slotMask } from "../adapters/route-numbers.ts";
import type { Finding } from "../commit/subsystem.ts";
import { addressFamily, networkOf, splitPrefixed } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { explainKeptApart, listVrfs, vrfsOfMembers } from "../configuration/vrf.ts";
import type { RoutingRoute, RoutingRule } from "./schema.ts";

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** Everything that is wrong or odd with tables, rules and routes, each with its path. */
export function verifyRouting(configuration: Configuration): Finding[] {
  return [
    ...verifyTables(configuration),
    ...Object.entries(configuration.routingRules).flatMap(([name, rule]) => verifyRule(name, rule, configuration)),
    ...findEqualPriorities(configuration),
    ...Object.entries(configuration.routingRoutes).flatMap(([name, route]) => verifyRoute(name, route, configuration)),
    ...findEqualRoutes(configuration),
  ];
}

function verifyTables({ routingTables, interfaces }: Configuration): Finding[] {
  const seen = new Map<number, string>();
  return Object.entries(routingTables).flatMap(([name, { id }]) => {
    const path = `routingTables.${name}`;
    const findings: Finding[] = [];
    if (Object.hasOwn(reservedTables, name))
      findings.push(error(path, `expected another name: ${name} is the kernel's own table`));
    if (Object.hasOwn(interfaces, name))
      findings.push(error(path, `expected another name: that of an interface means its own table`));
    if (Object.values<number>(reservedTables).includes(id))
      findings.push(error(`${path}.id`, "253 to 255 are the kernel's own"));
    const vrf = listVrfs(interfaces).find(({ table }) => table === id);
    if (vrf) findings.push(error(`${path}.id`, `${id} is the number of the VRF ${vrf.name}`));
    const other = seen.get(id);
    if (other !== undefined) findings.push(error(`${path}.id`, `${id} is the number of table ${other}`));
    seen.set(id, name);
    return findings;
  });
}

/** The table a rule or a route names. */
function verifyTable(path: string, name: string, { routingTables, interfaces }: Configuration): Finding[] {
  if (name === "main" || Object.hasOwn(routingTables, name)) return [];
  const owner = Object.hasOwn(interfaces, name) ? interfaces[name] : undefined;
  const vrf = vrfsOfMembers(interfaces).get(name);
  if (vrf) return [error(path, `expected ${vrf.name}, the VRF whose table ${name} uses`)];
  if (owner?.enabled) return [];
  if (owner) return [warning(path, `${name} is disabled: its table is not there`)];
  const names = ["main", ...Object.keys(routingTables), ...Object.keys(interfaces)];
  return [error(path, `expected a table: ${names.join(", ")}`)];
}

function verifyInterface(path: string, name: string | undefined, { interfaces }: Configuration): Finding[] {
  if (name === undefined) return [];
  if (Object.hasOwn(interfaces, name)) {
    const words = explainKeptApart(interfaces, name);
    return words === undefined ? [] : [error(path, words)];
  }
  const names = Object.keys(interfaces).join(", ");
  return [error(path, `expected a configured interface${names === "" ? "; there is none" : `: ${names}`}`)];
}

/** `192.0.2.5/24` is the address of a host; a route or a rule means its network. */
function verifyNetwork(path: string, network: string | undefined): Finding[] {
  if (network === undefined) return [];
  const base = networkOf(network);
  return base === network ? [] : [error(path, `expected a network: ${base}`)];
}

function verifyRule(name: string, rule: RoutingRule, configuration: Configuration): Finding[] {
  const path = `routingRules.${name}`;
  const { from, to, mark } = rule;
  const findings = [
    ...verifyNetwork(`${path}.from`, from),
    ...verifyNetwork(`${path}.to`, to),
    ...verifyTable(`${path}.table`, rule.table, configuration),
    ...verifyNoVrf(`${path}.table`, rule.table, configuration),
    ...(rule.interface === "lo" ? [] : verifyInterface(`${path}.interface`, rule.interface, configuration)),
  ];
  if (from !== undefined && to !== undefined && addressFamily(from) !== addressFamily(to))
    findings.push(error(`${path}.to`, "expected a network of the same family as from"));
  if (mark && (mark.value & ~mark.mask) !== 0)
    findings.push(error(`${path}.mark.value`, "expected no bits outside of the mask, or no packet fits"));
  if (mark && (mark.mask & (slotMask | permitBit)) !== 0 && mark.mask >>> 0 !== 0xffffffff)
    findings.push(
      warning(`${path}.mark.mask`, "bits 16 to 24 are set by the box itself, for tables of interfaces and uplinks"),
    );
  if (rule.not && from === undefined && to === undefined && mark === undefined && rule.interface === undefined)
    findings.push(error(`${path}.not`, "expected something that does not fit: from, to, mark or interface"));
  else if (from === undefined && to === undefined && mark === undefined && rule.interface === undefined)
    findings.push(warning(path, "the rule holds for every packet"));
  return findings;
}

/** A VRF is led into by being its member alone, or by its destinations. */
function verifyNoVrf(path: string, table: string, { interfaces }: Configuration): Finding[] {
  const isVrf = listVrfs(interfaces).some(({ name }) => name === table);
  return isVrf ? [error(path, `expected another table: ${table} is a VRF, and no rule leads into it`)] : [];
}

/** Of two rules with one priority, the one that was made first counts: it changes with each start. */
function findEqualPriorities({ routingRules }: Configuration): Finding[] {
  const seen = new Map<number, string>();
  return Object.entries(routingRules).flatMap(([name, { priority, enabled }]) => {
    if (!enabled) return [];
    const other = seen.get(priority);
    seen.set(priority, name);
    return other === undefined
      ? []
      : [error(`routingRules.${name}.priority`, `expected a priority of its own: ${priority} is that of ${other}`)];
  });
}

function verifyRoute(name: string, route: RoutingRoute, configuration: Configuration): Finding[] {
  const path = `routingRoutes.${name}`;
  const { destination, via, source, mtu } = route;
  const family = addressFamily(destination);
  const findings = [
    ...verifyNetwork(`${path}.destination`, destination),
    ...verifyTable(`${path}.table`, route.table, configuration),
    ...verifyDevice(path, route, configuration),
  ];
  for (const [field, address] of [
    ["via", via],
    ["source", source],
  ] as const)
    if (address !== undefined && addressFamily(address) !== family)
      findings.push(error(`${path}.${field}`, "expected an address of the same family as the destination"));
  if (route.type !== "unicast") {
    for (const field of ["via", "interface", "source", "mtu"] as const)
      if (route[field] !== undefined)
        findings.push(error(`${path}.${field}`, `expected none, for a ${route.type} route leads nowhere`));
    return findings;
  }
  if (via === undefined && route.interface === undefined)
    findings.push(error(`${path}.via`, "expected a router or an interface, or both"));
  if (route.onlink && (via === undefined || route.interface === undefined))
    findings.push(error(`${path}.onlink`, "expected a router and its interface beside it"));
  if (family === "ipv6" && mtu !== undefined && mtu < 1280)
    findings.push(error(`${path}.mtu`, "expected at least 1280 bytes, which IPv6 needs (RFC 8200)"));
  if (via !== undefined) findings.push(...verifyRouter(`${path}.via`, via, route, configuration));
  if (source !== undefined) findings.push(...verifySource(`${path}.source`, source, configuration));
  return findings;
}

/** What leads through a VRF stands in its table, and names the member. */
function verifyDevice(
  path: string,
  { type, table, interface: device }: RoutingRoute,
  configuration: Configuration,
): Finding[] {
  const vrf = listVrfs(configuration.interfaces).find(({ name }) => name === table);
  if (!vrf) return verifyInterface(`${path}.interface`, device, configuration);
  if (type !== "unicast" || (device !== undefined && vrf.members.includes(device))) return [];
  const names = vrf.members.join(", ") || "there is none";
  return [error(`${path}.interface`, `expected a member of the VRF ${vrf.name}: ${names}`)];
}

/** A router must be on a network of the box, and not the box. */
function verifyRouter(path: string, via: string, route: RoutingRoute, configuration: Configuration): Finding[] {
  const family = addressFamily(via);
  if (listAddresses(configuration).some(({ address }) => splitPrefixed(address).address === via))
    return [error(path, `expected the address of a router: ${via} is the box's own`)];
  if (family === "ipv6" && ipaddr.parse(via).range() === "linkLocal")
    return route.interface === undefined ? [error(path, "expected an interface beside a link-local router")] : [];
  if (route.onlink) return [];
  const apart = vrfsOfMembers(configuration.interfaces);
  const isMeant = (name: string) => (route.interface === undefined ? !apart.has(name) : name === route.interface);
  const near = listAddresses(configuration).filter((each) => isMeant(each.interface));
  if (near.some(({ address }) => isWithin(via, address))) return [];
  const learning = Object.entries(configuration.interfaces).some(
    ([name, settings]) =>
      isMeant(name) &&
      (family === "ipv4" ? settings.ipv4.method === "dhcp" : !["none", "static"].includes(settings.ipv6.method)),
  );
  const where = route.interface === undefined ? "no interface has" : `${route.interface} does not have`;
  const words = `${where} a network with ${via}`;
  return learning
    ? [warning(path, `${words}, unless one is learned`)]
    : [error(path, `${words}: nothing can reach it (onlink says that it can)`)];
}

function verifySource(path: string, source: string, configuration: Configuration): Finding[] {
  if (listAddresses(configuration).some(({ address }) => splitPrefixed(address).address === source)) return [];
  return [error(path, `expected an address of the box: ${source} is none`)];
}

function listAddresses({ interfaces, virtualAddresses }: Configuration) {
  return [
    ...Object.entries(interfaces).flatMap(([name, { enabled, ipv4, ipv6 }]) =>
      enabled ? [...ipv4.addresses, ...ipv6.addresses].map((address) => ({ interface: name, address })) : [],
    ),
    ...Object.values(virtualAddresses).flatMap((each) =>
      each.enabled ? [{ interface: each.interface, address: each.address }] : [],
    ),
  ];
}

function isWithin(address: string, prefixed: string): boolean {
  const parsed = ipaddr.parse(address);
  const [network, length] = ipaddr.parseCIDR(prefixed);
  return parsed.kind() === network.kind() && parsed.match(network, length);
}

/** A table holds one route to a network by metric; main also the default gateways of the interfaces. */
function findEqualRoutes({ routingRoutes, interfaces, routingTables }: Configuration): Finding[] {
  const seen = new Map<string, string>();
  const keyOf = (family: string, table: number | string, destination: string, metric: number) =>
    `${table} ${destination} ${family === "ipv6" && metric === 0 ? 1024 : metric}`;
  const vrfs = vrfsOfMembers(interfaces);
  for (const [name, { enabled, ipv4, ipv6 }] of Object.entries(interfaces)) {
    if (!enabled) continue;
    const vrf = vrfs.get(name)?.name;
    for (const [family, { gateway, defaultRoute }] of [
      ["ipv4", ipv4],
      ["ipv6", ipv6],
    ] as const)
      if (gateway !== undefined && (vrf !== undefined || defaultRoute !== false))
        seen.set(
          keyOf(family, vrf ?? mainTable, family === "ipv4" ? "0.0.0.0/0" : "::/0", 0),
          `the gateway of ${name}`,
        );
  }
  return Object.entries(routingRoutes).flatMap(([name, { enabled, table, destination, metric }]) => {
    if (!enabled) return [];
    const id = table === "main" ? mainTable : (routingTables[table]?.id ?? table);
    const key = keyOf(addressFamily(destination), id, destination, metric);
    const other = seen.get(key);
    seen.set(key, `route ${name}`);
    return other === undefined
      ? []
      : [
          error(
            `routingRoutes.${name}.metric`,
            `expected a metric of its own: ${other} leads to ${destination} with the same`,
          ),
        ];
  });
}
