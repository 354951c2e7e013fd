import { type Family, families, type Route, type Rule, spellNetwork } from "../adapters/iproute.ts";
import { mainTable } from "../adapters/route-numbers.ts";
import { addressFamily } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { listVrfs, type Vrf } from "../configuration/vrf.ts";
import type { RoutingRoute, RoutingRule } from "./schema.ts";

/** A table by its id, or by the interface whose own it is: that has an id once it is applied. */
export type TableReference = number | { interface: string };
export type WantedRoute = Omit<Route, "table"> & { table: TableReference };
export type WantedRule = Omit<Rule, "table"> & { table: TableReference };

/** An interface as far as its own table is concerned. */
export type OwnTable = {
  name: string;
  /** Gateways that are written down. */
  gateways: Partial<Record<Family, string>>;
  /** Families in which the network tells the gateway. */
  learns: Family[];
  /** A route, a rule or an uplink wants the table, gateway or not. */
  wanted: boolean;
};

export type RoutingIntent = { interfaces: OwnTable[]; vrfs: Vrf[]; rules: WantedRule[]; routes: WantedRoute[] };

/** What the operator wants of routing. Interfaces and objects by name, so that nothing depends on the order of reading. */
export function renderRouting(configuration: Configuration): RoutingIntent {
  const { interfaces, routingTables } = configuration;
  const vrfs = listVrfs(interfaces);
  // Their table is that of the VRF, and nothing of ours is in its way.
  const apart = new Set(vrfs.flatMap(({ name, members }) => [name, ...members]));
  const refer = (name: string): TableReference => {
    if (name === "main") return mainTable;
    const table = Object.hasOwn(routingTables, name)
      ? routingTables[name]?.id
      : vrfs.find((each) => each.name === name)?.table;
    return table ?? { interface: name };
  };
  const rules = sorted(configuration.routingRules).flatMap(([, rule]) =>
    rule.enabled ? renderRule(rule, refer(rule.table)) : [],
  );
  const routes = sorted(configuration.routingRoutes).flatMap(([, route]) =>
    route.enabled ? [renderRoute(route, refer(route.table))] : [],
  );
  const uplinks = Object.values(configuration.uplinkFarms).flatMap((farm) =>
    farm.enabled ? Object.values(farm.uplinks) : [],
  );
  const named = new Set([
    ...uplinks.map((each) => each.interface),
    ...[...rules, ...routes].flatMap(({ table }) => (typeof table === "object" ? [table.interface] : [])),
  ]);
  return {
    interfaces: sorted(interfaces)
      .filter(([name, { enabled }]) => enabled && !apart.has(name))
      .map(([name, { ipv4, ipv6 }]) => ({
        name,
        gateways: {
          // Answers to what came in by an interface that is an uplink's leave by the uplink's gateway.
          ...Object.fromEntries(
            uplinks.filter((each) => each.interface === name).map(({ gateway }) => [addressFamily(gateway), gateway]),
          ),
          ...(ipv4.gateway === undefined ? {} : { ipv4: ipv4.gateway }),
          ...(ipv6.gateway === undefined ? {} : { ipv6: ipv6.gateway }),
        },
        learns: [
          ...(ipv4.method === "dhcp" ? ["ipv4" as const] : []),
          ...(!["none", "static"].includes(ipv6.method) ? ["ipv6" as const] : []),
        ],
        wanted: named.has(name),
      })),
    vrfs,
    rules,
    routes,
  };
}

/** A rule that names no network holds for both families. */
function renderRule({ priority, not, from, to, mark, interface: device }: RoutingRule, table: TableReference) {
  const network = from ?? to;
  return families
    .filter((family) => network === undefined || addressFamily(network) === family)
    .map(
      (family): WantedRule => ({
        family,
        priority,
        ...(not ? { not } : {}),
        from: from && anyAsNone(from, family),
        to: to && anyAsNone(to, family),
        mark: mark && { value: mark.value >>> 0, mask: mark.mask >>> 0 },
        interface: device,
        table,
      }),
    );
}

/** The kernel shows `from all` for a network of everything. */
function anyAsNone(network: string, family: Family): string | undefined {
  const spelled = spellNetwork(network, family);
  return spelled === "default" ? undefined : spelled;
}

function renderRoute(route: RoutingRoute, table: TableReference): WantedRoute {
  const family = addressFamily(route.destination);
  return {
    family,
    type: route.type,
    destination: spellNetwork(route.destination, family),
    gateway: route.via,
    device: route.interface,
    table,
    metric: route.metric,
    source: route.source,
    mtu: route.mtu,
    ...(route.onlink ? { onlink: true } : {}),
  };
}

export function sorted<Value>(record: Record<string, Value>): [string, Value][] {
  return Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1));
}
