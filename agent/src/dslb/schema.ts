import { z } from "zod";
import {
  address,
  description,
  hostName,
  interfaceName,
  objectName,
  port,
  prefixedAddress,
} from "../configuration/fields.ts";

const seconds = (least: number, most: number) =>
  z
    .number(`expected seconds from ${least} to ${most}`)
    .min(least, `expected at least ${least} s`)
    .max(most, `expected at most ${most} s`);

const network = prefixedAddress.meta({ examples: ["10.50.0.0/24"] });

export const uplinkProbe = z
  .strictObject({
    type: z.enum(["icmp", "tcp", "dns", "http"], "expected icmp, tcp, dns or http").describe("How the target is asked"),
    address: address.describe("Target beyond the gateway, of the family of the uplinks it is for"),
    port: port.optional().describe("For tcp; 53 for dns and 80 for http unless told"),
    name: hostName.default("example.com").describe("dns: name to ask for; any answer of the server will do"),
    host: hostName.optional().describe("http: host to ask for; the address unless told"),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]{0,255}$/, "expected a path that begins with a slash")
      .default("/")
      .describe("http: path to ask for"),
    status: z
      .int("expected an HTTP status from 100 to 599")
      .min(100, "expected an HTTP status from 100 to 599")
      .max(599, "expected an HTTP status from 100 to 599")
      .optional()
      .describe("http: status that counts; any below 400 unless told"),
  })
  .meta({ id: "UplinkProbe", examples: [{ type: "icmp", address: "203.0.113.1" }] });

export const uplink = z
  .strictObject({
    description: description.default(""),
    interface: interfaceName.describe("Interface towards the gateway"),
    gateway: address.describe("Address of the gateway; says the family the uplink serves"),
    weight: z
      .int("expected a whole number from 1 to 255")
      .min(1, "expected a weight from 1 to 255")
      .max(255, "expected a weight from 1 to 255")
      .default(1)
      .describe("Algorithm weight: share of new connections, next to the weights of the others"),
    priority: z
      .int("expected a whole number from 1 to 9")
      .min(1, "expected a priority from 1 to 9")
      .max(9, "expected a priority from 1 to 9")
      .default(1)
      .describe("Algorithm priority: uplinks of the lowest number of which one is up are used"),
    state: z
      .enum(["up", "maintenance", "down"], "expected up, maintenance or down")
      .default("up")
      .describe(
        "up: used while its probes succeed; maintenance: keeps its connections, gets no new one; down: loses them all",
      ),
    translation: z
      .enum(["masquerade", "prefix", "none"], "expected masquerade, prefix or none")
      .default("masquerade")
      .describe("Source of what leaves: the address of the interface, another prefix (NPTv6, RFC 6296), or as it is"),
    prefix: z
      .strictObject({
        inside: network.describe("IPv6 network of the hosts inside"),
        outside: network.describe("IPv6 network of the same length that the provider routes to this uplink"),
      })
      .optional()
      .describe("For translation prefix: each host keeps its part of the address"),
  })
  .meta({ id: "Uplink", examples: [{ interface: "nic1", gateway: "192.0.2.1", weight: 3 }] });

const tie = z
  .strictObject({
    source: network.optional().describe("Network the connection comes from"),
    destination: network.optional().describe("Network the connection goes to"),
    farm: objectName.optional().describe("Farm whose answers leave by the uplink, wherever clients came in"),
    uplink: objectName.describe("The uplink it is tied to"),
    otherwise: z
      .enum(["balance", "drop"], "expected balance or drop")
      .default("balance")
      .describe("While the uplink is not up: as if there were no tie, or no connection at all"),
  })
  .meta({ id: "UplinkTie", examples: [{ source: "10.50.0.16/28", uplink: "fibre" }] });

export const uplinkFarm = z
  .strictObject({
    description: description.default(""),
    enabled: z.boolean("expected true or false").default(true).describe("false: nothing of it is in the kernel"),
    interfaces: z
      .array(interfaceName)
      .max(32, "expected at most 32 interfaces")
      .default([])
      .describe("Interfaces inside, whose hosts use the uplinks"),
    sources: z
      .array(network)
      .max(64, "expected at most 64 networks")
      .default([])
      .describe("Networks inside that may use them; left out, all that come in by these interfaces"),
    box: z
      .boolean("expected true or false")
      .default(false)
      .describe("true: what the box itself sends uses the uplinks too, shared out by destination"),
    algorithm: z
      .enum(["weight", "priority"], "expected weight or priority")
      .default("weight")
      .describe("How a new connection is given an uplink"),
    probes: z
      .record(objectName, uplinkProbe)
      .default({})
      .describe("What each uplink is probed with; none: link and neighbour alone"),
    need: z
      .enum(["any", "all"], "expected any or all")
      .default("any")
      .describe("A round of probes succeeds when any, or all, of its targets answer"),
    interval: seconds(0.2, 3600).default(2).describe("Seconds between two rounds of probes"),
    timeout: seconds(0.1, 60).default(1).describe("Seconds a target is given to answer"),
    rise: z
      .int("expected 1 to 100")
      .min(1, "expected at least 1")
      .max(100, "expected at most 100")
      .default(2)
      .describe("Rounds in a row that succeed until an uplink is up again"),
    fall: z
      .int("expected 1 to 100")
      .min(1, "expected at least 1")
      .max(100, "expected at most 100")
      .default(3)
      .describe("Rounds in a row that fail until an uplink is down"),
    return: z
      .enum(["immediately", "after-hold", "manually"], "expected immediately, after-hold or manually")
      .default("immediately")
      .describe("When an uplink that is up again is used again"),
    hold: seconds(1, 86_400).default(60).describe("For after-hold: seconds it must have been up"),
    ties: z
      .array(tie)
      .max(256, "expected at most 256 ties")
      .default([])
      .describe("What is tied to one uplink; the first that fits holds"),
    uplinks: z.record(objectName, uplink).default({}).describe("Uplinks by name"),
  })
  .meta({
    id: "UplinkFarm",
    examples: [
      {
        interfaces: ["nic0"],
        probes: { resolver: { type: "dns", address: "203.0.113.53" } },
        uplinks: {
          fibre: { interface: "nic1", gateway: "192.0.2.1", weight: 3 },
          cable: { interface: "nic2", gateway: "198.51.100.1" },
        },
      },
    ],
  });

export type Uplink = z.output<typeof uplink>;
export type UplinkProbe = z.output<typeof uplinkProbe>;
export type UplinkFarm = z.output<typeof uplinkFarm>;
