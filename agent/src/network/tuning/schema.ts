import { z } from "zod";

/** What a network card can be told of itself: the settings of ethtool(8), each left out as the card has it. */

const amount = (most: number, what: string) => {
  const words = `expected a whole number of ${what} from 1 to ${most}, or max`;
  return z.union([z.int(words).min(1, words).max(most, words), z.literal("max")], words);
};

/** 16 bits of drivers; 0 means that each packet is told at once. */
const coalesced = (most: number, what: string) => {
  const words = `expected a whole number of ${what} from 0 to ${most}`;
  return z.int(words).min(0, words).max(most, words);
};

const toggle = () => z.boolean("expected true or false").optional();

const rings = z
  .strictObject({
    receive: amount(65_536, "descriptors")
      .optional()
      .describe("Receive descriptors of each queue; max: all it can have"),
    send: amount(65_536, "descriptors").optional().describe("Transmit descriptors of each queue; max: all it can have"),
  })
  .meta({ id: "CardRings", examples: [{ receive: 4096, send: "max" }] });

const channels = z
  .strictObject({
    combined: amount(1_024, "channels")
      .optional()
      .describe("Pairs of a receive and a transmit queue; max: all of them"),
    receive: amount(1_024, "channels").optional().describe("Receive queues, of cards that count them apart"),
    send: amount(1_024, "channels").optional().describe("Transmit queues, of cards that count them apart"),
  })
  .meta({ id: "CardChannels", examples: [{ combined: 8 }] });

const coalescing = z
  .strictObject({
    adaptiveReceive: toggle().describe("The card finds the delay of receive interrupts by itself"),
    adaptiveSend: toggle().describe("The card finds the delay of transmit interrupts by itself"),
    receiveMicroseconds: coalesced(16_384, "microseconds")
      .optional()
      .describe("Microseconds from a packet received to its interrupt"),
    receiveFrames: coalesced(65_535, "packets").optional().describe("Packets received before an interrupt"),
    sendMicroseconds: coalesced(16_384, "microseconds")
      .optional()
      .describe("Microseconds from a packet sent to its interrupt"),
    sendFrames: coalesced(65_535, "packets").optional().describe("Packets sent before an interrupt"),
  })
  .meta({ id: "CardCoalescing", examples: [{ adaptiveReceive: false, receiveMicroseconds: 50 }] });

const offloads = z
  .strictObject({
    receiveChecksum: toggle().describe("The card checks checksums"),
    sendChecksum: toggle().describe("The card fills in checksums"),
    scatterGather: toggle().describe("The card collects a packet from several places of memory"),
    tcpSegmentation: toggle().describe("The card cuts large TCP segments (TSO)"),
    genericSegmentation: toggle().describe("The kernel cuts large segments as late as it can (GSO)"),
    genericReceive: toggle().describe("The kernel joins segments of a connection as early as it can (GRO)"),
    genericReceiveHardware: toggle().describe("The card joins them (GRO in hardware)"),
    receiveVlan: toggle().describe("The card takes VLAN tags off"),
    sendVlan: toggle().describe("The card puts VLAN tags on"),
  })
  .meta({ id: "CardOffloads", examples: [{ tcpSegmentation: false }] });

/** Of a network card. What is left out is as the hardware profile says, or else as the card has it. */
export const card = z
  .strictObject({
    rings: rings.optional().describe("Packets that wait for the processor or for the wire"),
    channels: channels.optional().describe("Queues, each with an interrupt of its own"),
    coalescing: coalescing.optional().describe("Interrupts for several packets at once"),
    offloads: offloads.optional().describe("Work that the card or the lowest layer of the kernel does for all others"),
  })
  .meta({ id: "Card", examples: [{ rings: { receive: 4096, send: 4096 }, channels: { combined: 8 } }] });

export type Card = z.output<typeof card>;
