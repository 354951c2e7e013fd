import type { Finding } from "../commit/subsystem.ts";
import { addressFamily, isAddress } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { findWayOut, holds, listServiceAddresses, listVrfs, vrfsOfMembers } from "../configuration/vrf.ts";

/** Servers that the box asks, where a VRF has taken the way to them. Names cannot be judged. */

type Server = { path: string; address: string };

/**
 * A warning for each server that only a VRF leads to, as far as the configuration tells, and that is not among its destinations:
 * what the box itself sends uses the main routing table.
 */
export function verifyWays(configuration: Configuration): Finding[] {
  const { interfaces } = configuration;
  const vrfs = listVrfs(interfaces);
  if (vrfs.length === 0) return [];
  return listServers(configuration).flatMap(({ path, address }): Finding[] => {
    if (findWayOut(interfaces, address) || hasMainWay(configuration, address)) return [];
    const near = [...vrfsOfMembers(interfaces)].find(([name]) =>
      networksOf(interfaces[name]).some((each) => holds(each, address)),
    );
    const vrf = near?.[1].name ?? (vrfs.length === 1 ? vrfs[0]?.name : undefined);
    const where = vrf === undefined ? "the destinations of a VRF" : `interfaces.${vrf}.vrf.destinations`;
    const message = `${address} cannot be reached from the main routing table: name it in ${where}, if it is to be asked there`;
    return [{ severity: "warning", path, message }];
  });
}

function networksOf(settings: Configuration["interfaces"][string] | undefined): string[] {
  return settings ? [...settings.ipv4.addresses, ...settings.ipv6.addresses] : [];
}

/** A network, a route or a gateway outside of VRFs that may lead there. */
function hasMainWay(configuration: Configuration, address: string): boolean {
  const { interfaces, routingRoutes, uplinkFarms } = configuration;
  if (listServiceAddresses(configuration).some((each) => holds(each.address, address))) return true;
  const isApart = vrfsOfMembers(interfaces);
  // In the network of a member: the default gateway of the others does not lead there.
  if (
    Object.entries(interfaces).some(
      ([name, each]) => isApart.has(name) && networksOf(each).some((it) => holds(it, address)),
    )
  )
    return false;
  const family = addressFamily(address);
  const routes = Object.values(routingRoutes);
  return (
    routes.some(({ enabled, table, destination }) => enabled && table === "main" && holds(destination, address)) ||
    Object.values(uplinkFarms).some(({ enabled, box }) => enabled && box) ||
    Object.entries(interfaces).some(([name, { enabled, [family]: settings }]) => {
      if (!enabled || isApart.has(name) || settings.defaultRoute === false) return false;
      return settings.gateway !== undefined || !["none", "static"].includes(settings.method);
    })
  );
}

/** Every server that is given by its address. */
function listServers({ system, directories, auditTargets }: Configuration): Server[] {
  const { dns, ntp, proxy } = system;
  const found = [
    ...dns.servers.map((each, at) => ({ path: `system.dns.servers.${at}`, address: each.split("#")[0] ?? "" })),
    ...ntp.servers.map((each, at) => ({
      path: `system.ntp.servers.${at}`,
      address: typeof each === "string" ? each : each.address,
    })),
    ...(proxy.url === undefined ? [] : [{ path: "system.proxy.url", address: hostOf(proxy.url) }]),
    ...Object.entries(directories).flatMap(([name, { enabled, servers }]) =>
      enabled ? servers.map((each, at) => ({ path: `directories.${name}.servers.${at}`, address: hostOf(each) })) : [],
    ),
    ...Object.entries(auditTargets).flatMap(([name, { enabled, host }]) =>
      enabled ? [{ path: `auditTargets.${name}.host`, address: host }] : [],
    ),
  ];
  return found.filter(({ address }) => isAddress(address));
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
}
