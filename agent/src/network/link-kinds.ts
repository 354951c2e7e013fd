import { z } from "zod";
import { bondModes } from "../adapters/link-info.ts";
import { highestUserTable } from "../adapters/route-numbers.ts";
import { address, interfaceName, prefixedAddress } from "../configuration/fields.ts";

/** What makes a link of each kind: bond, VLAN, bridge, VRF. Names follow systemd.netdev(5), values the kernel's own words. */

export const linkKinds = ["ethernet", "bond", "vlan", "bridge", "dummy", "vrf"] as const;
export type LinkKind = (typeof linkKinds)[number];

export type BondMode = (typeof bondModes)[number];

const milliseconds = (least: number, most: number) => {
  const words = `expected a whole number of milliseconds from ${least} to ${most}`;
  return z.int(words).min(least, words).max(most, words);
};

const members = z
  .array(interfaceName)
  .max(32, "expected at most 32 interfaces")
  .default([])
  .describe("Interfaces that belong to it; they need no settings of their own");

/** Which cards of this machine are meant, by what is known of them: every criterion that is given must fit. */
export const memberPattern = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-zA-Z0-9_.*?-]{1,15}$/, "expected a name with * for any characters and ? for one, like nic*")
      .optional()
      .describe("Name, with * for any characters and ? for one"),
    driver: z
      .string()
      .regex(/^[a-z0-9_-]{1,32}$/, "expected the name of a kernel driver, like ixgbe")
      .optional()
      .describe("Kernel driver"),
    speed: z
      .int("expected a whole number of Mbit/s")
      .min(10, "expected a speed of at least 10 Mbit/s")
      .optional()
      .describe("Mbit/s; a card without carrier has none, and stays a member if it is one"),
    bus: z
      .string()
      .regex(/^[0-9a-zA-Z:.*?-]{1,32}$/, "expected a place on the bus with * and ?, like 0000:3b:00.*")
      .optional()
      .describe("Place on the bus, with * and ?"),
    macPrefix: z
      .string()
      .regex(/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){0,5}$/, "expected the first bytes of a MAC address, like 00:1b:21")
      .transform((text) => text.toLowerCase())
      .optional()
      .describe("First bytes of the permanent MAC address"),
  })
  .refine((pattern) => Object.values(pattern).some((each) => each !== undefined), "expected at least one criterion")
  .meta({ id: "MemberPattern", examples: [{ driver: "ixgbe", bus: "0000:3b:00.*" }] });

export type MemberPattern = z.output<typeof memberPattern>;

const mii = z
  .strictObject({
    interval: milliseconds(10, 10_000).default(100).describe("Milliseconds between two looks at the carrier"),
    upDelay: milliseconds(0, 60_000).default(0).describe("Milliseconds of carrier before a member is used"),
    downDelay: milliseconds(0, 60_000).default(0).describe("Milliseconds without carrier before a member is not used"),
  })
  .meta({ id: "MiiMonitoring", examples: [{ interval: 100, upDelay: 200, downDelay: 0 }] });

const arp = z
  .strictObject({
    interval: milliseconds(50, 60_000).default(1_000).describe("Milliseconds between two ARP requests"),
    targets: z
      .array(address)
      .max(16, "expected at most 16 targets")
      .default([])
      .describe("IPv4 addresses that are asked, such as the gateway"),
    validate: z
      .enum(["none", "active", "backup", "all"], "expected none, active, backup or all")
      .default("none")
      .describe("Members whose ARP traffic must be an answer to count"),
    allTargets: z.boolean("expected true or false").default(false).describe("A member needs an answer of every target"),
  })
  .meta({ id: "ArpMonitoring", examples: [{ interval: 500, targets: ["192.0.2.1"], validate: "all" }] });

/** A bond (Linux bonding driver, link aggregation). What a mode does not know has no effect, and verify says so. */
export const bond = z
  .strictObject({
    mode: z
      .enum(bondModes, `expected one of ${bondModes.join(", ")}`)
      .default("active-backup")
      .describe("How traffic is shared; active-backup needs nothing of the switch, 802.3ad is LACP"),
    members,
    memberPattern: memberPattern.optional().describe("Beside members: every card of this machine that fits"),
    monitor: z
      .enum(["mii", "arp"], "expected mii or arp")
      .default("mii")
      .describe("How it is found out whether a member works: by carrier or by ARP"),
    mii: mii.default(mii.parse({})).describe("Monitoring by carrier"),
    arp: arp.default(arp.parse({})).describe("Monitoring by ARP"),
    minLinks: z
      .int("expected a whole number of members")
      .min(0, "expected 0 or more members")
      .max(32, "expected at most 32 members")
      .default(0)
      .describe("Members that must work before the bond has carrier; 802.3ad"),
    transmitHashPolicy: z
      .enum(
        ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"],
        "expected layer2, layer2+3, layer3+4, encap2+3, encap3+4 or vlan+srcmac",
      )
      .default("layer2")
      .describe("What chooses the member a packet leaves by; balance-xor, 802.3ad and balance-tlb"),
    lacpRate: z
      .enum(["slow", "fast"], "expected slow or fast")
      .default("slow")
      .describe("The partner sends a LACPDU each 30 s (slow) or each second (fast); 802.3ad"),
    aggregatorSelect: z
      .enum(["stable", "bandwidth", "count"], "expected stable, bandwidth or count")
      .default("stable")
      .describe("Which group of members is used when there are several; 802.3ad"),
    primary: interfaceName
      .optional()
      .describe("The member that is preferred; active-backup, balance-tlb and balance-alb"),
    primaryReselect: z
      .enum(["always", "better", "failure"], "expected always, better or failure")
      .default("always")
      .describe("When the primary takes over again: always, when it is faster, or when the active member fails"),
    failOverMac: z
      .enum(["none", "active", "follow"], "expected none, active or follow")
      .default("none")
      .describe("Whether members keep their own MAC addresses; active-backup"),
    gratuitousCount: z
      .int("expected a whole number")
      .min(0, "expected 0 or more")
      .max(255, "expected at most 255")
      .default(1)
      .describe(
        "Gratuitous ARPs and unsolicited neighbour advertisements after a failover; active-backup, balance-tlb and balance-alb",
      ),
  })
  .meta({
    id: "Bond",
    examples: [{ mode: "802.3ad", members: ["nic0", "nic1"], lacpRate: "fast", transmitHashPolicy: "layer3+4" }],
  });

export const vlan = z
  .strictObject({
    parent: interfaceName.describe("The interface that carries the tagged frames"),
    id: z
      .int("expected a VLAN from 1 to 4094")
      .min(1, "expected a VLAN from 1 to 4094")
      .max(4094, "expected a VLAN from 1 to 4094")
      .describe("VLAN id"),
    protocol: z
      .enum(["802.1Q", "802.1ad"], "expected 802.1Q or 802.1ad")
      .default("802.1Q")
      .describe("Kind of tag; 802.1ad is the outer tag of a provider (QinQ)"),
  })
  .meta({ id: "Vlan", examples: [{ parent: "nic0", id: 100, protocol: "802.1Q" }] });

export const bridge = z
  .strictObject({
    members,
    stp: z.boolean("expected true or false").default(false).describe("Spanning tree (IEEE 802.1D)"),
  })
  .meta({ id: "Bridge", examples: [{ members: ["nic2", "nic3"], stp: true }] });

const tableWords = `expected a whole number from 1 to ${highestUserTable}`;

/** Virtual routing and forwarding: interfaces with a routing table of their own, which nothing falls out of. */
export const vrf = z
  .strictObject({
    table: z
      .int(tableWords)
      .min(1, tableWords)
      .max(highestUserTable, tableWords)
      .describe("Number of its routing table in the kernel; 253 to 255 are the kernel's own"),
    members: z
      .array(interfaceName)
      .max(32, "expected at most 32 interfaces")
      .default([])
      .describe(
        "Interfaces that are kept apart; they keep their addresses, and their gateways become those of the VRF",
      ),
    destinations: z
      .array(prefixedAddress.meta({ examples: ["198.51.100.53/32"] }))
      .max(64, "expected at most 64 networks")
      .default([])
      .describe(
        "Hosts and networks that the box itself reaches through it: of DNS, NTP, log and directory servers. What comes from there by another interface is dropped",
      ),
  })
  .meta({ id: "Vrf", examples: [{ table: 10, members: ["nic0"], destinations: ["198.51.100.53/32"] }] });

export type Bond = z.output<typeof bond>;
export type Vlan = z.output<typeof vlan>;
export type Bridge = z.output<typeof bridge>;
export type Vrf = z.output<typeof vrf>;
