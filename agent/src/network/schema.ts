import { z } from "zod";
import { address, description, interfaceName, prefixedAddress } from "../configuration/fields.ts";

/** What both address families have beside their method. */
const fixed = {
  addresses: z
    .array(prefixedAddress)
    .max(64, "expected at most 64 addresses")
    .default([])
    .describe("For method static"),
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
      .enum(["none", "automatic", "static"], "expected none, automatic or static")
      .default("none")
      .describe("Where the addresses come from; automatic: router advertisements and DHCPv6"),
    ...fixed,
  })
  .meta({ id: "Ipv6Settings", description: "automatic: router advertisements and DHCPv6" });

/** A network interface of the box, by its name. */
export const networkInterface = z
  .strictObject({
    description: description.default(""),
    enabled: z.boolean("expected true or false").default(true).describe("Administratively up"),
    mtu: z
      .int("expected a whole number of bytes")
      .min(1280, "expected an MTU of at least 1280 bytes, which IPv6 needs (RFC 8200)")
      .max(65_535, "expected an MTU of at most 65535 bytes")
      .optional()
      .describe("Bytes; left out, the driver's own"),
    ipv4: ipv4.default({ method: "none", addresses: [] }).describe("IPv4 on this interface"),
    ipv6: ipv6.default({ method: "none", addresses: [] }).describe("IPv6 on this interface"),
  })
  .meta({
    id: "Interface",
    examples: [
      {
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
