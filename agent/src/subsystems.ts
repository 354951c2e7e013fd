import { access } from "./access/index.ts";
import { certificates } from "./certificates/index.ts";
import type { Subsystem } from "./commit/subsystem.ts";
import { dslb } from "./dslb/index.ts";
import { firewall } from "./firewall/index.ts";
import { l4 } from "./lslb/l4/index.ts";
import { idleCards } from "./network/idle/index.ts";
import { network } from "./network/index.ts";
import { cards } from "./network/tuning/index.ts";
import { routing } from "./routing/index.ts";
import { system } from "./system/index.ts";

/**
 * The registry: what a configuration consists of. The order of applying follows from what each depends on, and is this one otherwise:
 * cards start anew for their settings, so at a boot that is before they carry anything.
 */
export const subsystems: readonly Subsystem[] = [
  access,
  certificates,
  cards,
  network,
  idleCards,
  routing,
  dslb,
  firewall,
  l4,
  system,
];
