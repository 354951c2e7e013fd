import type { LinkAttributes } from "../adapters/link-info.ts";
import { bondKnows } from "./bond-modes.ts";
import type { Bond, LinkKind } from "./link-kinds.ts";
import type { NetworkInterface } from "./schema.ts";

/** What the box makes itself of a link: the file for networkd, and what the kernel must then report. */
export type LinkArtefact = {
  /** The systemd.netdev(5) file. */
  netdev: string;
  kind: LinkKind;
  /** As adapters/link-info.ts names them; links by their name. */
  attributes: LinkAttributes;
};

const headline = "# Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).";

/** Undefined for a network card, which nobody makes. */
export function renderLink(name: string, settings: NetworkInterface): LinkArtefact | undefined {
  const { kind, vlan, bond, bridge, vrf } = settings;
  if (kind === "ethernet") return undefined;
  const make = (sections: string[], attributes: LinkAttributes): LinkArtefact => ({
    netdev: `${[headline, "[NetDev]", `Name=${name}`, `Kind=${kind}`, ...sections].join("\n")}\n`,
    kind,
    attributes,
  });
  if (kind === "vlan" && vlan) return make(["", "[VLAN]", `Id=${vlan.id}`, `Protocol=${vlan.protocol}`], { ...vlan });
  if (kind === "bond" && bond) return make(["", "[Bond]", ...renderBond(bond)], bondAttributes(bond));
  if (kind === "bridge" && bridge)
    return make(["", "[Bridge]", `STP=${bridge.stp ? "yes" : "no"}`], { stp: bridge.stp });
  if (kind === "vrf" && vrf) return make(["", "[VRF]", `Table=${vrf.table}`], { table: vrf.table });
  return make([], {});
}

function renderBond(bond: Bond): string[] {
  const { mode, mii, arp } = bond;
  const when = (setting: Parameters<typeof bondKnows>[1], line: string) => (bondKnows(mode, setting) ? [line] : []);
  const monitoring =
    bond.monitor === "mii"
      ? [`MIIMonitorSec=${mii.interval}ms`, `UpDelaySec=${mii.upDelay}ms`, `DownDelaySec=${mii.downDelay}ms`]
      : [
          `ARPIntervalSec=${arp.interval}ms`,
          `ARPIPTargets=${arp.targets.join(" ")}`,
          `ARPValidate=${arp.validate}`,
          `ARPAllTargets=${arp.allTargets ? "all" : "any"}`,
        ];
  return [
    `Mode=${mode}`,
    ...monitoring,
    ...when("transmitHashPolicy", `TransmitHashPolicy=${bond.transmitHashPolicy}`),
    ...when("lacpRate", `LACPTransmitRate=${bond.lacpRate}`),
    ...when("aggregatorSelect", `AdSelect=${bond.aggregatorSelect}`),
    ...when("minLinks", `MinLinks=${bond.minLinks}`),
    ...when("primaryReselect", `PrimaryReselectPolicy=${bond.primaryReselect}`),
    ...when("failOverMac", `FailOverMACPolicy=${bond.failOverMac}`),
    ...when("gratuitousCount", `GratuitousARP=${bond.gratuitousCount}`),
  ];
}

/** Only what the mode knows: the kernel keeps defaults for the rest, which are nobody's wish. */
function bondAttributes(bond: Bond): LinkAttributes {
  const { mode, mii, arp } = bond;
  const when = (setting: Parameters<typeof bondKnows>[1], attributes: LinkAttributes) =>
    bondKnows(mode, setting) ? attributes : {};
  return {
    mode,
    ...(bond.monitor === "mii"
      ? { miiInterval: mii.interval, upDelay: mii.upDelay, downDelay: mii.downDelay, arpInterval: 0 }
      : {
          miiInterval: 0,
          arpInterval: arp.interval,
          arpTargets: arp.targets,
          arpValidate: arp.validate,
          arpAllTargets: arp.allTargets,
        }),
    ...when("transmitHashPolicy", { transmitHashPolicy: bond.transmitHashPolicy }),
    ...when("lacpRate", { lacpRate: bond.lacpRate }),
    ...when("aggregatorSelect", { aggregatorSelect: bond.aggregatorSelect }),
    ...when("minLinks", { minLinks: bond.minLinks }),
    ...when("primary", { primary: bond.primary ?? "" }),
    ...when("primaryReselect", { primaryReselect: bond.primaryReselect }),
    ...when("failOverMac", { failOverMac: bond.failOverMac }),
    ...when("gratuitousCount", { gratuitousCount: bond.gratuitousCount }),
  };
}
