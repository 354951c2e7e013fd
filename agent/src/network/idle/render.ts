import type { Configuration } from "../../configuration/schema.ts";
import { withImplied } from "../topology.ts";

/** A network card of the machine that belongs to no bond or bridge, by its name now. */
export type IdleCard = {
  index: number;
  name: string;
  up: boolean;
  /** By us: for the questions of the first boot, or because of the setting. */
  raised: boolean;
};

export type IdleArtefacts = {
  /** Cards that nothing uses are up. */
  raise: boolean;
  /** Names that the configuration uses: of interfaces, and of what bonds, bridges and VLANs stand on. */
  used: string[];
  /** Only of what is observed. */
  cards: IdleCard[];
};

export function renderIdle({ interfaces, system }: Pick<Configuration, "interfaces" | "system">): IdleArtefacts {
  return { raise: system.unconfiguredCards === "up", used: Object.keys(withImplied(interfaces)), cards: [] };
}
