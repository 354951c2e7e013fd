import type { BondMode } from "./link-kinds.ts";

const active: readonly BondMode[] = ["active-backup", "balance-tlb", "balance-alb"];
const lacp: readonly BondMode[] = ["802.3ad"];

/** Which modes know which setting: what the kernel takes and systemd-networkd passes on. */
const modes = {
  minLinks: lacp,
  lacpRate: lacp,
  aggregatorSelect: lacp,
  transmitHashPolicy: ["balance-xor", "802.3ad", "balance-tlb"],
  primary: active,
  primaryReselect: active,
  failOverMac: ["active-backup"],
  gratuitousCount: active,
  arpMonitoring: ["balance-rr", "active-backup", "balance-xor", "broadcast"],
} as const satisfies Record<string, readonly BondMode[]>;

export function bondKnows(mode: BondMode, setting: keyof typeof modes): boolean {
  return (modes[setting] as readonly BondMode[]).includes(mode);
}
