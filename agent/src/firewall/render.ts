import type { Configuration } from "../configuration/schema.ts";
import { vrfsOfMembers } from "../configuration/vrf.ts";

/** The part of the base table `inet steelyard_base` that follows the configuration. */
export type Management = {
  /** Interfaces on which the box may be managed, in alphabetical order. */
  interfaces: string[];
  /** Members of VRFs, in alphabetical order: they see nothing of farms, and nothing passes through the box to or from them. */
  isolated: string[];
  /** tcp ports of the API and of SSH, in rising order. */
  ports: number[];
};

export type FirewallArtefacts = {
  /** missing: the base table is not loaded. altered: its chains are not those of the image. */
  table: { state: "loaded" } | { state: "missing" } | { state: "altered"; reason: string };
  management: Management;
};

export function renderFirewall({ system, interfaces }: Configuration): FirewallArtefacts {
  const { management, ssh } = system;
  const ports = ssh.enabled ? [management.port, ssh.port] : [management.port];
  return {
    table: { state: "loaded" },
    management: {
      interfaces: [...new Set(management.interfaces)].sort(),
      isolated: [...vrfsOfMembers(interfaces).keys()].sort(),
      ports: [...new Set(ports)].sort((one, other) => one - other),
    },
  };
}

/** Replaces the sets in one transaction: there is no moment in which management is open to nobody or to all. */
export function renderManagementRules({ interfaces, isolated, ports }: Management): string {
  const fill = (set: string, elements: readonly (string | number)[]) => [
    `flush set inet steelyard_base ${set}`,
    ...(elements.length > 0 ? [`add element inet steelyard_base ${set} { ${elements.join(", ")} }`] : []),
  ];
  const quote = (names: readonly string[]) => names.map((name) => `"${name}"`);
  return [
    ...fill("management_interfaces", quote(interfaces)),
    ...fill("isolated_interfaces", quote(isolated)),
    ...fill("management_ports", ports),
    "",
  ].join("\n");
}
