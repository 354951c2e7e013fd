import { inside, namespaceName, type Role, tapName } from "./plan.ts";

/**
 * Two ways to the world, for a machine with cards towards them (`uplinkCards`):
 *
 *     nic6 [box] ── wan1 (bridge) ── router1 ──\
 *                                               world 203.0.113.2
 *     nic7 [box] ── wan2 (bridge) ── router2 ──/
 *
 * Each router forwards only what can come from its side (strict reverse path filter, RFC 3704), as providers do: an answer that
 * takes the other way is lost.
 */
export const uplinks = {
  fibre: {
    router: "router1",
    bridge: "wan1",
    card: "nic6",
    mac: "52:54:00:5e:00:06",
    network: "10.1.0.0/24",
    prefix: { ipv4: 24, ipv6: 64 },
    box: "10.1.0.2",
    /** For farms. */
    virtual: "10.1.0.10",
    gateway: { ipv4: "10.1.0.1", ipv6: "fd01::1" },
    /** Between router and world. */
    far: { link: "far1", router: "10.11.0.1", world: "10.11.0.2" },
  },
  cable: {
    router: "router2",
    bridge: "wan2",
    card: "nic7",
    mac: "52:54:00:5e:00:07",
    network: "10.2.0.0/24",
    prefix: { ipv4: 24, ipv6: 64 },
    box: "10.2.0.2",
    /** For farms. */
    virtual: "10.2.0.10",
    gateway: { ipv4: "10.2.0.1", ipv6: "fd02::1" },
    /** Between router and world. */
    far: { link: "far2", router: "10.12.0.1", world: "10.12.0.2" },
  },
} as const;

export type UplinkName = keyof typeof uplinks;

/** The host at the other end of both. */
export const world = "203.0.113.2";

/** The `ip` commands that build the ways, without the leading `ip`; after those of `networkCommands`. */
export function uplinkCommands(labId: string): string[][] {
  const at = (role: Role, words: string) => inside(labId, role, ...words.split(" "));
  const set = (role: Role, setting: string) => ["netns", "exec", namespaceName(labId, role), "sysctl", "-qw", setting];
  const ways = Object.values(uplinks).flatMap(({ router, bridge, prefix, gateway, network, far }) => [
    at("switch", `link add ${bridge} type bridge mcast_snooping 0 forward_delay 0`),
    at("switch", `link set ${bridge} up`),
    at("switch", `tuntap add ${tapName(bridge)} mode tap`),
    at("switch", `link set ${tapName(bridge)} master ${bridge} up`),
    at("switch", `link add ${router} type veth peer name near netns ${namespaceName(labId, router)}`),
    at("switch", `link set ${router} master ${bridge} up`),
    at(router, `link add far type veth peer name ${far.link} netns ${namespaceName(labId, "world")}`),
    at(router, "link set lo up"),
    at(router, "link set near up"),
    at(router, "link set far up"),
    at(router, `address add ${gateway.ipv4}/${prefix.ipv4} dev near`),
    at(router, `address add ${gateway.ipv6}/${prefix.ipv6} dev near nodad`),
    at(router, `address add ${far.router}/24 dev far`),
    at(router, `route add ${world} via ${far.world}`),
    set(router, "net.ipv4.ip_forward=1"),
    // Who does not forward says so in its neighbour advertisements, and is dropped as a gateway (RFC 4861, 7.2.5).
    set(router, "net.ipv6.conf.all.forwarding=1"),
    set(router, "net.ipv4.conf.all.rp_filter=1"),
    at("world", `link set ${far.link} up`),
    at("world", `address add ${far.world}/24 dev ${far.link}`),
    at("world", `route add ${network} via ${far.router} src ${world}`),
  ]);
  return [at("world", "link set lo up"), at("world", `address add ${world}/32 dev lo`), ...ways];
}
