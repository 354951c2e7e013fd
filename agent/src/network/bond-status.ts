import type { Link } from "../adapters/netlink.ts";

/** A bond as it is now. */
export type BondStatus = {
  mode: string;
  /** The member that carries the traffic, in modes that use one. */
  active: string | undefined;
  members: {
    name: string;
    state: "active" | "backup";
    link: string;
    failures: number;
    aggregator: number | undefined;
  }[];
  /** The other end, by LACP. */
  partner: { mac: string | undefined; ports: number } | undefined;
};

/** Undefined for a link that is no bond. Pure. */
export function describeBond(bond: Link, links: readonly Link[]): BondStatus | undefined {
  if (bond.kind !== "bond") return undefined;
  const active = links.find(({ index }) => index === bond.info?.references.active)?.name;
  const members = links.flatMap(({ name, master, bondMember }) =>
    master === bond.index && bondMember
      ? [
          {
            name,
            state: bondMember.state,
            link: bondMember.mii,
            failures: bondMember.failures,
            aggregator: bondMember.aggregator,
          },
        ]
      : [],
  );
  const partner = bond.lacpPartner && { mac: bond.lacpPartner.mac, ports: bond.lacpPartner.ports };
  return { mode: String(bond.info?.attributes.mode ?? "unknown"), active, members, partner };
}
