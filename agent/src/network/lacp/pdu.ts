/** What a link partner says of itself in a LACPDU (IEEE 802.1AX-2020, 6.4.2). Ports with one system and one key belong together. */
export type LacpPartner = {
  /** MAC of the system, and its priority: less is preferred. */
  system: string;
  systemPriority: number;
  key: number;
  port: number;
  /** It sends by itself, and not only as an answer. */
  active: boolean;
};

/** The address and the type of slow protocols (802.3, annex 57A), as tcpdump(8) filters them; subtype 1 is LACP. */
export const lacpFilter = "ether dst 01:80:c2:00:00:02 and ether proto 0x8809 and ether[14] == 1";

/** Bytes up to the end of the actor. */
export const lacpduLeast = 38;

const [slowProtocols, lacp, actorInformation, actorLength] = [0x8809, 1, 1, 20];

/** The actor of an Ethernet frame that is a LACPDU; undefined for anything else, and for one that is cut off. */
export function parseLacpdu(frame: Buffer): LacpPartner | undefined {
  // Destination, source, type; subtype, version; type and length of the first TLV, which is the actor's.
  if (frame.length < 38 || frame.readUInt16BE(12) !== slowProtocols) return undefined;
  if (frame[14] !== lacp || frame[16] !== actorInformation || frame[17] !== actorLength) return undefined;
  const system = [...frame.subarray(20, 26)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return {
    system,
    systemPriority: frame.readUInt16BE(18),
    key: frame.readUInt16BE(26),
    port: frame.readUInt16BE(30),
    active: ((frame[32] ?? 0) & 1) !== 0,
  };
}
