import ipaddr from "ipaddr.js";
import { formatAddress, formatHardwareAddress } from "../../adapters/netlink-codec.ts";
import { addressFamily } from "../../configuration/fields.ts";

/**
 * Frames by which hosts of a link ask who has an address and say that they have it: ARP (RFC 826, RFC 5227) and neighbour
 * discovery (RFC 4861, RFC 4862). Pure. MAC addresses are six bytes; all frames of one function have one length.
 */

const broadcast = Buffer.alloc(6, 0xff);
const nobody = Buffer.alloc(6);
const [typeArp, typeIpv6] = [0x0806, 0x86dd];
const [arpRequest, arpReply] = [1, 2];
const [icmpv6, solicitation, advertisement] = [58, 135, 136];

/** Answers to what we ask, and whatever else names a host that has an address: as tcpdump(8) filters them. */
export const answerFilter = "arp or (icmp6 and ip6[40] == 136)";
/** Bytes of the two kinds of answers: up to the sender's address, and up to the target. */
export const arpLeast = 32;
export const advertisementLeast = 78;

export function parseMac(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

function bytesOf(address: string): Buffer {
  return Buffer.from(ipaddr.parse(address).toByteArray());
}

/** Asks who has an address without saying that we do. ARP probe (RFC 5227, 2.1.1), or solicitation from `::` (RFC 4862, 5.4.2). */
export function makeProbe(mac: Buffer, address: string): Buffer {
  const target = bytesOf(address);
  if (addressFamily(address) === "ipv4") return makeArp(mac, arpRequest, Buffer.alloc(4), target);
  const tail = target.subarray(13);
  const group = Buffer.concat([Buffer.from("ff0200000000000000000001ff", "hex"), tail]);
  const body = Buffer.concat([Buffer.from([solicitation, 0, 0, 0, 0, 0, 0, 0]), target]);
  return makeIcmpv6(mac, Buffer.concat([Buffer.from([0x33, 0x33, 0xff]), tail]), Buffer.alloc(16), group, body);
}

/**
 * Says to all that we have an address. ARP announcement, as request and as reply, since hosts differ in what they believe (RFC
 * 5944, 4.6), or unsolicited neighbour advertisement that overrides what was known (RFC 4861, 7.2.6).
 */
export function makeAnnouncements(mac: Buffer, address: string): Buffer[] {
  const own = bytesOf(address);
  if (addressFamily(address) === "ipv4")
    return [arpRequest, arpReply].map((operation) => makeArp(mac, operation, own, own));
  const isRouter = 0x80;
  const override = 0x20;
  const head = Buffer.from([advertisement, 0, 0, 0, isRouter | override, 0, 0, 0]);
  // Option 2: the target's link-layer address, in units of eight bytes.
  const body = Buffer.concat([head, own, Buffer.from([2, 1]), mac]);
  const everybody = Buffer.from("ff020000000000000000000000000001", "hex");
  return [makeIcmpv6(mac, Buffer.from("333300000001", "hex"), own, everybody, body)];
}

function makeArp(mac: Buffer, operation: number, sender: Buffer, target: Buffer): Buffer {
  const head = Buffer.alloc(8);
  // Ethernet, IPv4, lengths of their addresses.
  head.writeUInt16BE(1, 0);
  head.writeUInt16BE(0x0800, 2);
  head.set([6, 4], 4);
  head.writeUInt16BE(operation, 6);
  const hardwareTarget = operation === arpReply ? broadcast : nobody;
  // 18 bytes fill the frame up to the 60 that Ethernet wants.
  return makeFrame(broadcast, mac, typeArp, [head, mac, sender, hardwareTarget, target, Buffer.alloc(18)]);
}

function makeIcmpv6(mac: Buffer, to: Buffer, source: Buffer, destination: Buffer, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(6 << 4, 0);
  head.writeUInt16BE(body.length, 4);
  // Hop limit 255 shows that it comes from the link itself.
  head.set([icmpv6, 255], 6);
  const length = Buffer.from([0, 0, 0, body.length, 0, 0, 0, icmpv6]);
  body.writeUInt16BE(checksum(Buffer.concat([source, destination, length, body])), 2);
  return makeFrame(to, mac, typeIpv6, [head, source, destination, body]);
}

function makeFrame(to: Buffer, from: Buffer, type: number, parts: readonly Buffer[]): Buffer {
  return Buffer.concat([to, from, Buffer.from([type >> 8, type & 0xff]), ...parts]);
}

/** RFC 1071, over an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** Who says in a frame that it has an address; undefined when nobody does, or it is cut off. */
export function readClaim(frame: Buffer): { address: string; mac: string } | undefined {
  if (frame.length < arpLeast) return undefined;
  const mac = formatHardwareAddress(frame.subarray(6, 12)) ?? "";
  const type = frame.readUInt16BE(12);
  if (type === typeArp) {
    const sender = frame.subarray(28, 32);
    // A probe of somebody else has no sender.
    if (frame.readUInt16BE(16) !== 0x0800 || sender.every((byte) => byte === 0)) return undefined;
    return { address: formatAddress(sender), mac: formatHardwareAddress(frame.subarray(22, 28)) ?? mac };
  }
  if (type !== typeIpv6 || frame.length < advertisementLeast) return undefined;
  if (frame[20] !== icmpv6 || frame[54] !== advertisement) return undefined;
  return { address: formatAddress(frame.subarray(62, 78)), mac };
}
