import type { Configuration } from "../configuration/schema.ts";

/** The part of the base table `inet steelyard_base` that follows the configuration. */
export type Management = {
  /** Interfaces on which the box may be managed, in alphabetical order. */
  interfaces: string[];
  /** tcp ports of the API and of SSH, in rising order. */
  ports: number[];
};

export type FirewallArtefacts = {
  /** missing: the base table is not loaded. altered: its chains are not those of the image. */
  table: { state: "loaded" } | { state: "missing" } | { state: "altered"; reason: string };
  management: Management;
};

export function renderFirewall({ system }: Configuration): FirewallArtefacts {
  const { management, ssh } = system;
  const ports = ssh.enabled ? [management.port, ssh.port] : [management.port];
  return {
    table: { state: "loaded" },
    management: {
      interfaces: [...new Set(management.interfaces)].sort(),
      ports: [...new Set(ports)].sort((one, other) => one - other),
    },
  };
}

/** Replaces both sets in one transaction: there is no moment in which management is open to nobody or to all. */
export function renderManagementRules({ interfaces, ports }: Management): string {
  const fill = (set: string, elements: readonly (string | number)[]) => [
    `flush set inet steelyard_base ${set}`,
    ...(elements.length > 0 ? [`add element inet steelyard_base ${set} { ${elements.join(", ")} }`] : []),
  ];
  return [
    ...fill(
      "management_interfaces",
      interfaces.map((name) => `"${name}"`),
    ),
    ...fill("management_ports", ports),
    "",
  ].join("\n");
}
