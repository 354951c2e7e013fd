import { type Family, families, type Route, type Rule, routeKey } from "../adapters/iproute.ts";
import { priorities, reservedTables } from "../adapters/route-numbers.ts";
import { addressFamily } from "../configuration/fields.ts";
import type { Vrf } from "../configuration/vrf.ts";

/**
 * What the kernel's VRFs (Documentation/networking/vrf.rst) need of the routing so that they keep apart. Its own rule sends the
 * packets of a VRF to its table; on its own it comes after that of the box's addresses, and what the table does not know falls
 * through to all the rules after it.
 */

/** The highest metric that is usual for it (vrf.rst): behind every route that somebody else makes. */
const lastMetric = 4_278_198_272;

/** The end of each VRF's table, unless the operator has put another one there. */
export function closeTables(vrfs: readonly Vrf[], others: readonly Route[]): Route[] {
  const taken = new Set(others.map(routeKey));
  const ends = vrfs.flatMap(({ table }) =>
    families.map((family): Route => {
      return { family, type: "unreachable", destination: "default", table, metric: lastMetric };
    }),
  );
  return ends.filter((each) => !taken.has(routeKey(each)));
}

/**
 * The box's own addresses after the VRFs, or whoever comes in by one would reach those of farms. What the box sends from an
 * address of a member leaves by the VRF, so a connection of before is not lost; so does what it sends to its destinations.
 */
export function vrfRules(
  vrfs: readonly Vrf[],
  addresses: readonly { interface: string; address: string }[],
  family: Family,
): Rule[] {
  if (vrfs.length === 0) return [];
  const isOurs = (address: string) => addressFamily(address) === family;
  const ways = vrfs.flatMap(({ table, members, destinations }): Rule[] => {
    const sources = addresses.filter((each) => members.includes(each.interface) && isOurs(each.address));
    const way = { family, interface: "lo", table };
    return [
      ...sources.map(({ address }) => ({
        ...way,
        priority: priorities.vrfSource,
        from: `${address}/${family === "ipv4" ? 32 : 128}`,
      })),
      ...destinations.filter(isOurs).map((to) => ({ ...way, priority: priorities.vrfDestination, to })),
    ];
  });
  return [{ family, priority: priorities.local, table: reservedTables.local }, ...ways];
}

/**
 * The kernel's own rules (ip-rule(8), vrf.rst): the first of all, for the box's addresses; and that which comes with the first VRF. The first
 * one is deleted whoever made it: a rule is found by its maker too, when that is given.
 */
const firstWords = `priority 0 from all lookup ${reservedTables.local}`;
const vrfRule = "priority 1000 from all l3mdev protocol 2";

/**
 * Takes the kernel's first rule away once ours is there, and puts it back before ours goes: there is no moment without one. A box
 * without VRFs on which somebody else took it away is left as it is. The rule for VRFs is made once by the kernel, and never again.
 */
export function moveKernelRules(
  family: Family,
  vrfs: readonly Vrf[],
  { rules, up }: { rules: readonly Rule[]; up: readonly string[] },
): { add: string[]; remove: string[] } {
  const own = rules.filter((each) => each.family === family);
  const has = (priority: number) =>
    own.some((each) => each.priority === priority && each.table === reservedTables.local);
  if (vrfs.length === 0)
    return { add: !has(0) && has(priorities.local) ? [`rule add ${firstWords} protocol 2`] : [], remove: [] };
  const lacksVrfs = vrfs.some(({ name }) => up.includes(name)) && !own.some(({ vrf }) => vrf);
  return {
    add: lacksVrfs ? [`rule add ${vrfRule}`] : [],
    remove: has(0) ? [`rule delete ${firstWords}`] : [],
  };
}
