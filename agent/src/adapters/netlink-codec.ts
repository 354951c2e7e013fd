import ipaddr from "ipaddr.js";

/** The parts of rtnetlink messages that node-netlink hands over as raw bytes (rtnetlink(7), linux/if_link.h). */

/** IFLA_INFO_KIND within IFLA_LINKINFO. */
const infoKind = 1;

/**
 * Attributes of a nested attribute: a header of two 16-bit numbers in the machine's byte order (length with header, type),
 * the value, padding to four bytes. A length that does not fit ends the list.
 */
export function listAttributes(bytes: Buffer): { type: number; value: Buffer }[] {
  const attributes = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    // The two highest bits of the type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
    attributes.push({ type: bytes.readUInt16LE(at + 2) & 0x3fff, value: bytes.subarray(at + 4, at + length) });
    at += Math.ceil(length / 4) * 4;
  }
  return attributes;
}

/** The same by type; of several of one type the last. */
export function parseAttributes(bytes: Buffer): Map<number, Buffer> {
  return new Map(listAttributes(bytes).map(({ type, value }) => [type, value]));
}

/** One attribute, to ask with; 0x8000 in the type says that it holds others. */
export function makeAttribute(type: number, value: Uint8Array | Uint32Array): Buffer {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const head = Buffer.from(Uint16Array.of(bytes.length + 4, type).buffer);
  return Buffer.concat([head, bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

/** A name, which the kernel ends with a zero. */
export function readText(bytes: Buffer): string {
  return bytes.toString("utf8").replace(/\0+$/, "");
}

/** The kind of a virtual link (`bond`, `vlan`, `veth`); undefined for a real card. */
export function parseLinkKind(linkinfo: Buffer | undefined): string | undefined {
  const kind = linkinfo && parseAttributes(linkinfo).get(infoKind);
  return kind?.toString("latin1").replace(/\0+$/, "");
}

/** `02:00:5e:10:00:01`; undefined for a link without a hardware address. */
export function formatHardwareAddress(bytes: Buffer | undefined): string | undefined {
  if (!bytes || bytes.length === 0) return undefined;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** An address of 4 or 16 bytes in the spelling we compare: see canonicalAddress. */
export function formatAddress(bytes: Buffer): string {
  return bytes.length === 4 ? [...bytes].join(".") : new ipaddr.IPv6([...bytes]).toRFC5952String();
}
