import type { DefaultRoute, Link } from "../adapters/netlink.ts";

/** VRFs as the kernel has them. Pure. */

/** A VRF as it is now. */
export type VrfStatus = { table: number | undefined; members: string[] };

const tableOf = (link: Link) => (link.kind === "vrf" ? Number(link.info?.attributes.table) || undefined : undefined);

/** The routing tables of the VRFs there are. */
export function vrfTables(links: readonly Link[]): number[] {
  return links.flatMap((link) => tableOf(link) ?? []);
}

/** Default gateways that a link sends by: those of the main table, or of the VRF it belongs to. */
export function gatewaysOf(link: Link, links: readonly Link[], routes: readonly DefaultRoute[]): string[] {
  const master = links.find(({ index, kind }) => index === link.master && kind === "vrf");
  const table = master && tableOf(master);
  return routes.filter((each) => each.index === link.index && each.table === table).map(({ gateway }) => gateway);
}

/** Undefined for a link that is no VRF. */
export function describeVrf(link: Link, links: readonly Link[]): VrfStatus | undefined {
  if (link.kind !== "vrf") return undefined;
  const members = links.filter(({ master }) => master === link.index).map(({ name }) => name);
  return { table: tableOf(link), members: members.sort() };
}
