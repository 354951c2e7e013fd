import { createGenericNetlink, FlagsGet, type GenericNetlinkSocket, genl } from "node-netlink";
import { parseAttributes } from "./netlink-codec.ts";

/** Mbit/s, and whether both sides may send at once; of a link that has carrier and a driver that knows. */
export type LinkMode = { speed: number | undefined; duplex: "full" | "half" | undefined };

/** Modes by index of the link, as the kernel has them now. */
export type ReadLinkModes = () => Promise<Map<number, LinkMode>>;

/** linux/ethtool_netlink.h. */
const [getLinkModes, header, speedOf, duplexOf, deviceIndex] = [4, 1, 5, 6, 1];
/** SPEED_UNKNOWN is -1; DUPLEX_HALF and DUPLEX_FULL. */
const unknownSpeed = 0xffffffff;
const duplexes = new Map([
  [0, "half"],
  [1, "full"],
] as const);
const timeout = 10_000;

/** The generic netlink family `ethtool`: one dump for all links. Empty for a kernel without it. */
export const readLinkModes: ReadLinkModes = async () => {
  const socket = createGenericNetlink();
  try {
    const family = await findFamily(socket);
    if (family === undefined) return new Map();
    const [messages] = await socket.request(family, getLinkModes, 1, [], {
      flags: FlagsGet.DUMP,
      timeout,
    });
    return new Map(messages.flatMap(({ data }) => toLinkMode(data)));
  } finally {
    socket.socket.close();
  }
};

async function findFamily(socket: GenericNetlinkSocket): Promise<number | undefined> {
  try {
    const [answer] = await socket.ctrlRequest(genl.Commands.GET_FAMILY, { familyName: "ethtool" }, { timeout });
    return answer?.familyId;
  } catch {
    return undefined;
  }
}

function toLinkMode(message: Buffer): [number, LinkMode][] {
  const attributes = parseAttributes(message);
  const index = parseAttributes(attributes.get(header) ?? Buffer.alloc(0))
    .get(deviceIndex)
    ?.readUInt32LE();
  const speed = attributes.get(speedOf)?.readUInt32LE();
  if (index === undefined) return [];
  const duplex = duplexes.get(attributes.get(duplexOf)?.readUInt8() as 0 | 1);
  return [[index, { speed: speed === undefined || speed === unknownSpeed || speed === 0 ? undefined : speed, duplex }]];
}
