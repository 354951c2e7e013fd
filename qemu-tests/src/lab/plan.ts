/**
 * The networks around the box, the same in every run since they stand in namespaces of the run's own:
 *
 *     client ── front (bridge) ── nic0 [box] nic1 ── back (bridge) ── b1, b2
 *
 * Client and backends are namespaces, so source addresses are real. Backends have their default route through the box, which
 * destination-only translation (dnat) needs.
 */
export const front = {
  bridge: "front",
  box: { ipv4: "10.10.0.1", ipv6: "fd10::1" },
  client: { ipv4: "10.10.0.100", ipv6: "fd10::100" },
  prefix: { ipv4: 24, ipv6: 64 },
} as const;

export const back = {
  bridge: "back",
  box: { ipv4: "10.20.0.1", ipv6: "fd20::1" },
  prefix: { ipv4: 24, ipv6: 64 },
} as const;

export const backends = {
  b1: { ipv4: "10.20.0.11", ipv6: "fd20::11" },
  b2: { ipv4: "10.20.0.12", ipv6: "fd20::12" },
} as const;

export type BackendName = keyof typeof backends;

/** Addresses the box's farms listen on. */
export const virtualAddresses = {
  ipv4: "10.10.0.10",
  ipv6: "fd10::10",
  secondIpv4: "10.10.0.11",
} as const;

/** Ports the backends serve: see `traffic/backend-server.ts`. */
export const backendPorts = { http: 80, alternativeHttp: 8080, echo: 7000, udp: 5353 } as const;

/** A lab's name carries the process that made it, so that a later run can tell a dead one's remains. */
export function makeLabId(pid: number): string {
  return `steelyard-lab-${pid}`;
}

/** The process that made a namespace of this name; undefined when it is not one of ours. */
export function ownerOfNamespace(namespace: string): number | undefined {
  const match = /^steelyard-lab-(\d+)-[a-z0-9]+$/.exec(namespace);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The routers and the world stand behind uplinks: see `uplinks.ts`. */
export type Role = "switch" | "client" | BackendName | "router1" | "router2" | "world";

export const roles: readonly Role[] = ["switch", "client", "b1", "b2", "router1", "router2", "world"];

export function namespaceName(labId: string, role: Role): string {
  return `${labId}-${role}`;
}

/** The tap of the box's interface on a bridge. */
export function tapName(bridge: string): string {
  return `${bridge}-tap`;
}

type IpCommand = string[];

/** A command of `ip` in a namespace of the lab, without the leading `ip`. */
export function inside(labId: string, role: Role, ...command: string[]): IpCommand {
  return ["-n", namespaceName(labId, role), ...command];
}

/** The `ip` commands that build the lab, without the leading `ip`. */
export function networkCommands(labId: string): IpCommand[] {
  const at = (role: Role, ...command: string[]): IpCommand => inside(labId, role, ...command);
  const bridge = (name: string): IpCommand[] => [
    // Snooping would hold back neighbour discovery until a querier is heard, and there is none.
    at("switch", "link", "add", name, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0"),
    at("switch", "link", "set", name, "up"),
    at("switch", "tuntap", "add", tapName(name), "mode", "tap"),
    at("switch", "link", "set", tapName(name), "master", name, "up"),
  ];
  const host = (
    role: Role,
    net: typeof front | typeof back,
    own: { ipv4: string; ipv6: string },
    routed: boolean,
  ): IpCommand[] => [
    at("switch", "link", "add", role, "type", "veth", "peer", "name", "eth0", "netns", namespaceName(labId, role)),
    at("switch", "link", "set", role, "master", net.bridge, "up"),
    at(role, "link", "set", "lo", "up"),
    at(role, "link", "set", "eth0", "up"),
    at(role, "address", "add", `${own.ipv4}/${net.prefix.ipv4}`, "dev", "eth0"),
    // Nobody else has the address, so duplicate detection would only cost a second.
    at(role, "address", "add", `${own.ipv6}/${net.prefix.ipv6}`, "dev", "eth0", "nodad"),
    ...(routed
      ? [
          at(role, "route", "add", "default", "via", net.box.ipv4),
          at(role, "-6", "route", "add", "default", "via", net.box.ipv6),
        ]
      : []),
  ];
  return [
    ...roles.map((role) => ["netns", "add", namespaceName(labId, role)]),
    at("switch", "link", "set", "lo", "up"),
    ...bridge(front.bridge),
    ...bridge(back.bridge),
    ...host("client", front, front.client, false),
    ...host("b1", back, backends.b1, true),
    ...host("b2", back, backends.b2, true),
  ];
}
