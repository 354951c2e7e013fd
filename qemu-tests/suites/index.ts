import type { Suite } from "../src/suite.ts";
import { bootBios, bootUefi } from "./boot.test.ts";
import { bootRefused } from "./boot-refused.test.ts";
import { cards } from "./cards.test.ts";
import { cli } from "./cli.test.ts";
import { clock } from "./clock.test.ts";
import { consoleSuite } from "./console.test.ts";
import { daemons } from "./daemons.test.ts";
import { farms } from "./farms.test.ts";
import { leases } from "./leases.test.ts";
import { links } from "./links.test.ts";
import { powerCut } from "./power-cut.test.ts";
import { recovery } from "./recovery.test.ts";
import { refusals } from "./refusals.test.ts";
import { resilience } from "./resilience.test.ts";
import { rootRefused } from "./root-refused.test.ts";
import { safety } from "./safety.test.ts";
import { uplinksSuite } from "./uplinks.test.ts";
import { vrfSuite } from "./vrf.test.ts";

/** Every suite, in the order they run: those that share a machine go from harmless to violent. */
export const suites: readonly Suite[] = [
  bootBios,
  farms,
  refusals,
  cli,
  daemons,
  cards,
  clock,
  safety,
  resilience,
  powerCut,
  links,
  uplinksSuite,
  leases,
  vrfSuite,
  bootUefi,
  recovery,
  bootRefused,
  rootRefused,
  consoleSuite,
];
