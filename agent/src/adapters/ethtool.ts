import { createGenericNetlink, FlagsGet, type GenericNetlinkSocket, genl } from "node-netlink";
import { listAttributes, makeAttribute, parseAttributes } from "./netlink-codec.ts";

/** Mbit/s, and whether both sides may send at once; of a link that has carrier and a driver that knows. */
export type LinkMode = { speed: number | undefined; duplex: "full" | "half" | undefined };

/** Modes by index of the link, as the kernel has them now. */
export type ReadLinkModes = () => Promise<Map<number, LinkMode>>;

/** linux/ethtool_netlink.h: ETHTOOL_MSG_*_GET; the header is the first attribute of each, the index of the link the first in that. */
export const ethtoolQuestions = { linkModes: 4, features: 11, rings: 15, channels: 17, coalescing: 19 } as const;
const [header, deviceIndex, speedOf, duplexOf] = [1, 1, 5, 6];
/** Sets of bits come as bitmaps: with the name of each bit the features of a card do not fit into a message of a dump. */
const compact = nest(header, makeAttribute(3, Uint32Array.of(1)));
/** SPEED_UNKNOWN is -1; DUPLEX_HALF and DUPLEX_FULL. */
const unknownSpeed = 0xffffffff;
const duplexes = new Map([
  [0, "half"],
  [1, "full"],
] as const);
const timeout = 10_000;

export const readLinkModes: ReadLinkModes = async () => {
  const [modes] = await dumpEthtool([ethtoolQuestions.linkModes]);
  return new Map([...(modes ?? [])].map(([index, attributes]) => [index, toLinkMode(attributes)]));
};

export type EthtoolAttributes = Map<number, Buffer>;

/**
 * The generic netlink family `ethtool`: one dump for all links for each question, as attributes by index of the link. A link whose
 * driver does not know the answer is not in it. Empty for a kernel without the family.
 */
export async function dumpEthtool(questions: readonly number[]): Promise<Map<number, EthtoolAttributes>[]> {
  const socket = createGenericNetlink();
  try {
    const family = await findFamily(socket);
    if (family === undefined) return questions.map(() => new Map());
    const answers = [];
    for (const question of questions) {
      const [messages] = await socket.request(family, question, 1, compact, { flags: FlagsGet.DUMP, timeout });
      answers.push(new Map(messages.flatMap(({ data }) => byIndex(data))));
    }
    return answers;
  } finally {
    socket.socket.close();
  }
}

/** ETHTOOL_MSG_STRSET_GET, and ETH_SS_FEATURES of linux/ethtool.h. */
const [askStrings, setOfFeatures] = [1, 4];
let features: Promise<string[]> | undefined;

/** The kernel's names of the bits of features, in their order. They are asked for once. */
export function readFeatureNames(): Promise<string[]> {
  features ??= askFeatureNames();
  features.catch(() => {
    features = undefined;
  });
  return features;
}

async function askFeatureNames(): Promise<string[]> {
  const socket = createGenericNetlink();
  try {
    const family = await findFamily(socket);
    if (family === undefined) return [];
    const wanted = Buffer.concat([compact, nest(2, nest(1, makeAttribute(1, Uint32Array.of(setOfFeatures))))]);
    const [[answer]] = await socket.request(family, askStrings, 1, wanted, { timeout });
    // ETHTOOL_A_STRSET_STRINGSETS, _STRINGSET, _STRINGS; in each string its index and its value.
    const strings = [2, 1, 3].reduce(
      (bytes, type) => parseAttributes(bytes).get(type) ?? Buffer.alloc(0),
      answer?.data ?? Buffer.alloc(0),
    );
    return listAttributes(strings).map(({ value }) =>
      (parseAttributes(value).get(2) ?? Buffer.alloc(0)).toString("latin1").replace(/\0+$/, ""),
    );
  } finally {
    socket.socket.close();
  }
}

function nest(type: number, inner: Buffer): Buffer {
  return makeAttribute(type | 0x8000, inner);
}

async function findFamily(socket: GenericNetlinkSocket): Promise<number | undefined> {
  try {
    const [answer] = await socket.ctrlRequest(genl.Commands.GET_FAMILY, { familyName: "ethtool" }, { timeout });
    return answer?.familyId;
  } catch {
    return undefined;
  }
}

function byIndex(message: Buffer): [number, EthtoolAttributes][] {
  const attributes = parseAttributes(message);
  const index = parseAttributes(attributes.get(header) ?? Buffer.alloc(0))
    .get(deviceIndex)
    ?.readUInt32LE();
  return index === undefined ? [] : [[index, attributes]];
}

function toLinkMode(attributes: EthtoolAttributes): LinkMode {
  const speed = attributes.get(speedOf)?.readUInt32LE();
  const duplex = duplexes.get(attributes.get(duplexOf)?.readUInt8() as 0 | 1);
  return { speed: speed === undefined || speed === unknownSpeed || speed === 0 ? undefined : speed, duplex };
}
