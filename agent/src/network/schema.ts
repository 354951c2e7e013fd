import { z } from "zod";
import { address, description, interfaceName, prefixedAddress } from "../configuration/fields.ts";
import { bond, bridge, linkKinds, vlan, vrf } from "./link-kinds.ts";
import { card } from "./tuning/schema.ts";

/** What both address families have beside their method. */
const fixed = {
  addresses: z
    .array(prefixedAddress)
    .max(64, "expected at most 64 addresses")
    .default([])
    .describe("For method static; the first of a network is the source of what the box sends there"),
  gateway: address.optional().describe("Default gateway reached through this interface"),
  defaultRoute: z
    .boolean("expected true or false")
    .optional()
    .describe(
      "Left out: true. false: the gateway serves answers to what came in by this interface, and is not the box's default gateway",
    ),
};

const ipv4 = z
  .strictObject({
    method: z
      .enum(["none", "dhcp", "static"], "expected none, dhcp or static")
      .default("none")
      .describe("Where the addresses come from"),
    ...fixed,
  })
  .meta({ id: "Ipv4Settings" });

const ipv6 = z
  .strictObject({
    method: z
      .enum(["none", "automatic", "slaac", "dhcp", "static"], "expected none, automatic, slaac, dhcp or static")
      .default("none")
      .describe("Where the addresses come from; automatic: router advertisements and DHCPv6; slaac, dhcp: one of them"),
    ...fixed,
  })
  .meta({
    id: "Ipv6Settings",
    description: "The gateway comes with router advertisements, unless the method is static",
  });

/** A network interface of the box, by its name: a card, or a link that the box makes. */
export const networkInterface = z
  .strictObject({
    kind: z
      .enum(linkKinds, `expected ${linkKinds.join(", ")}`)
      .default("ethernet")
      .describe("ethernet: a network card; the others are made by the box"),
    description: description.default(""),
    alias: z
      .string()
      .regex(/^[\x20-\x7e]{0,64}$/, "expected at most 64 printable ASCII characters")
      .default("")
      .describe("A name for people, which the kernel keeps with the interface (ifAlias)"),
    enabled: z.boolean("expected true or false").default(true).describe("Administratively up"),
    mtu: z
      .int("expected a whole number of bytes")
      .min(1280, "expected an MTU of at least 1280 bytes, which IPv6 needs (RFC 8200)")
      .max(65_535, "expected an MTU of at most 65535 bytes")
      .optional()
      .describe("Bytes; left out, the driver's own"),
    bond: bond.optional().describe("Of kind bond"),
    vlan: vlan.optional().describe("Of kind vlan"),
    bridge: bridge.optional().describe("Of kind bridge"),
    card: card.optional().describe("Of kind ethernet: rings, queues, interrupts and offloads of the card"),
    vrf: vrf.optional().describe("Of kind vrf"),
    ipv4: ipv4.default({ method: "none", addresses: [] }).describe("IPv4 on this interface"),
    ipv6: ipv6.default({ method: "none", addresses: [] }).describe("IPv6 on this interface"),
  })
  .meta({
    id: "Interface",
    examples: [
      {
        kind: "ethernet",
        description: "to the servers",
        enabled: true,
        mtu: 1500,
        ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" },
        ipv6: { method: "none", addresses: [] },
      },
    ],
  });

/** An address farms listen on, beside the interface's own. Moved with the master role in a cluster. */
export const virtualAddress = z
  .strictObject({
    description: description.default(""),
    enabled: z.boolean("expected true or false").default(true).describe("false: the address is not on the box"),
    interface: interfaceName.describe("Interface the address is put on"),
    address: prefixedAddress.describe("The address with its prefix length"),
  })
  .meta({
    id: "VirtualAddress",
    examples: [{ description: "", enabled: true, interface: "nic0", address: "192.0.2.10/24" }],
  });

export type NetworkInterface = z.output<typeof networkInterface>;
export type VirtualAddress = z.output<typeof virtualAddress>;
