import type { Configuration } from "../configuration/schema.ts";
import { badInput, type Problem, SteelyardError } from "../errors.ts";
import type { Backup } from "./contents.ts";
import { describeNic, mapNics, type NicPlace } from "./nics.ts";
import { listInterfaceNames, renameInterfaces } from "./rename.ts";
import type { BackupNic } from "./schema.ts";

export type RestoreOptions = {
  /** Card of the backup -> card of this box. */
  map: Readonly<Record<string, string>>;
  /** Take the places that are only proposed, too. */
  acceptProposals: boolean;
};

export type RestorePlan = {
  places: NicPlace[];
  /** The configuration with the names of this box; undefined while a card has no place, not even a proposed one. */
  configuration: Configuration | undefined;
  /** Why it must not be carried out as it is: each with the candidates. */
  open: Problem[];
};

/**
 * What a backup means on this box. Pure: whoever restores commits the configuration, here or at a first boot. Throws
 * `bad-input` for a map that names what is not there.
 */
export function planRestore(
  { manifest, configuration }: Pick<Backup, "manifest" | "configuration">,
  present: readonly BackupNic[],
  { map, acceptProposals }: RestoreOptions,
): RestorePlan {
  const named = new Set(listInterfaceNames(configuration));
  const known = manifest.nics.filter(({ name }) => named.has(name));
  // Cards that are configured and were not in the box: they keep their names unless somebody says where they are.
  const absent = Object.entries(configuration.interfaces).flatMap(([name, { kind }]) =>
    kind === "ethernet" && !known.some((each) => each.name === name) ? [{ name }] : [],
  );
  const wanted = [...known, ...absent.filter(({ name }) => Object.hasOwn(map, name))];
  const { places, problems } = mapNics(wanted, present, map);
  if (problems.length > 0) throw badInput(problems);
  for (const { name } of absent) {
    const other = places.find((each) => each.to === name && each.name !== name);
    if (!other || Object.hasOwn(map, name)) continue;
    const reason = `it was not in that box, and ${name} takes the place of ${other.name} here`;
    const free = present.filter((each) => !places.some(({ to }) => to === each.name));
    places.push({ name, by: "open", reason, candidates: free.map((each) => each.name) });
  }
  const undecided = places.filter(({ by }) => by === "open" || (by === "proposed" && !acceptProposals));
  const open = undecided.map(({ name, reason, to, candidates }): Problem => {
    const nic = wanted.find((each) => each.name === name) ?? { name };
    const choice = candidates.length === 0 ? "none is free" : candidates.join(", ");
    const proposal = to === undefined ? reason : `proposed is ${to}: ${reason}`;
    return {
      path: `map.${name}`,
      message: `expected the card of this box that takes the place of ${describeNic(nic)}, one of: ${choice} (${proposal})`,
    };
  });
  const names = new Map(places.flatMap(({ name, to }): [string, string][] => (to === undefined ? [] : [[name, to]])));
  const complete = places.every(({ to }) => to !== undefined);
  return { places, open, configuration: complete ? renameInterfaces(configuration, names) : undefined };
}

/** The configuration to commit. Throws `invalid-configuration` with every card that has no certain place. */
export function requireDecided({ configuration, open }: RestorePlan): Configuration {
  if (configuration && open.length === 0) return configuration;
  const words = open.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("invalid-configuration", words, { problems: open });
}
