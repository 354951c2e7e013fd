import { dumpEthtool, type EthtoolAttributes, ethtoolQuestions, readFeatureNames } from "./ethtool.ts";
import { parseAttributes } from "./netlink-codec.ts";

/**
 * What ethtool(8) changes of a card while it works: read by its netlink (Documentation/networking/ethtool-netlink.rst), written in its words.
 * Names are the paths of the fields below `card` of an interface.
 */

/** Attributes of the answers: the value now and the greatest one, and the word for ethtool. */
const numbers = {
  "channels.receive": { question: "channels", now: 6, most: 2, option: "-L", word: "rx" },
  "channels.send": { question: "channels", now: 7, most: 3, option: "-L", word: "tx" },
  "channels.combined": { question: "channels", now: 9, most: 5, option: "-L", word: "combined" },
  "rings.receive": { question: "rings", now: 6, most: 2, option: "-G", word: "rx" },
  "rings.send": { question: "rings", now: 9, most: 5, option: "-G", word: "tx" },
  "coalescing.receiveMicroseconds": { question: "coalescing", now: 2, option: "-C", word: "rx-usecs" },
  "coalescing.receiveFrames": { question: "coalescing", now: 3, option: "-C", word: "rx-frames" },
  "coalescing.sendMicroseconds": { question: "coalescing", now: 6, option: "-C", word: "tx-usecs" },
  "coalescing.sendFrames": { question: "coalescing", now: 7, option: "-C", word: "tx-frames" },
} as const;

const switches = {
  "coalescing.adaptiveReceive": { now: 11, option: "-C", word: "adaptive-rx" },
  "coalescing.adaptiveSend": { now: 12, option: "-C", word: "adaptive-tx" },
} as const;

/** The kernel's names of features (net/ethtool/common.c); which of several a card has depends on its kind. */
const offloads = {
  "offloads.receiveChecksum": ["rx-checksum"],
  "offloads.sendChecksum": ["tx-checksum-ipv4", "tx-checksum-ip-generic", "tx-checksum-ipv6"],
  "offloads.scatterGather": ["tx-scatter-gather"],
  "offloads.tcpSegmentation": ["tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp6-segmentation"],
  "offloads.genericSegmentation": ["tx-generic-segmentation"],
  "offloads.genericReceive": ["rx-gro"],
  "offloads.genericReceiveHardware": ["rx-gro-hw"],
  "offloads.receiveVlan": ["rx-vlan-hw-parse"],
  "offloads.sendVlan": ["tx-vlan-hw-insert"],
} as const;

export type CardSetting = keyof typeof numbers | keyof typeof switches | keyof typeof offloads;

/** In the order in which they are set: channels first, for rings are made for each; checksums before what needs them. */
export const cardSettings = [...keys(numbers), ...keys(switches), ...keys(offloads)] as readonly CardSetting[];

export type SettingState = {
  now: number | boolean;
  /** The greatest number that the card takes, where it says so. */
  most?: number;
  /** True for what the card has one way only. */
  fixed: boolean;
  /** Of an offload: the features of the kernel that can be switched. */
  features?: string[];
};

/** Without what the card does not know. */
export type CardState = Partial<Record<CardSetting, SettingState>>;

/** By index of the link, as the kernel has them now. Empty for a kernel that does not tell. */
export type ReadCardStates = () => Promise<Map<number, CardState>>;

export const readCardStates: ReadCardStates = async () => {
  const { rings, channels, coalescing, features } = ethtoolQuestions;
  const names = await readFeatureNames();
  const answers = await dumpEthtool([rings, channels, coalescing, features]);
  const indexes = new Set(answers.flatMap((answer) => [...answer.keys()]));
  return new Map(
    [...indexes].map((index) => {
      const [rings, channels, coalescing, features] = answers.map((answer) => answer.get(index) ?? new Map());
      return [index, toCardState({ rings, channels, coalescing, features }, names)];
    }),
  );
};

type Answers = Partial<Record<"rings" | "channels" | "coalescing" | "features", EthtoolAttributes | undefined>>;

/** Of the attributes of one link's answers; `names` are those of the bits of features. */
export function toCardState(answers: Answers, names: readonly string[] = []): CardState {
  const state: CardState = {};
  for (const name of keys(numbers)) {
    const { question, now, most } = { most: undefined, ...numbers[name] };
    const [value, limit] = [now, most].map((each) => readNumber(answers[question], each));
    // Of rings and channels a greatest number of 0 says that there are none of the kind.
    if (value === undefined || limit === 0 || (most !== undefined && limit === undefined)) continue;
    state[name] = { now: value, fixed: limit === 1, ...(limit === undefined ? {} : { most: limit }) };
  }
  for (const name of keys(switches)) {
    const value = answers.coalescing?.get(switches[name].now)?.readUInt8();
    if (value !== undefined) state[name] = { now: value !== 0, fixed: false };
  }
  return answers.features ? { ...state, ...toOffloads(answers.features, names) } : state;
}

/** ETHTOOL_A_FEATURES_*: what the user may change, what is in use, what never changes. */
const [hardware, active, never] = [2, 4, 5];

function toOffloads(attributes: EthtoolAttributes, names: readonly string[]): CardState {
  const has = (what: number, feature: string) => isSet(attributes.get(what), names.indexOf(feature));
  const found = keys(offloads).map((name): [CardSetting, SettingState] => {
    const members: readonly string[] = offloads[name];
    const features = members.filter((each) => has(hardware, each) && !has(never, each));
    const now = members.some((each) => has(active, each));
    return [name, { now, fixed: features.length === 0, features }];
  });
  return Object.fromEntries(found);
}

/** ETHTOOL_A_BITSET_VALUE: a bitmap of 32-bit words. */
const bitmap = 4;

function isSet(bitset: Buffer | undefined, bit: number): boolean {
  const words = bitset && parseAttributes(bitset).get(bitmap);
  const at = (bit >> 5) * 4;
  return (
    words !== undefined && bit >= 0 && at + 4 <= words.length && ((words.readUInt32LE(at) >>> (bit & 31)) & 1) === 1
  );
}

function readNumber(attributes: EthtoolAttributes | undefined, at: number | undefined): number | undefined {
  return at === undefined ? undefined : attributes?.get(at)?.readUInt32LE();
}

/** A command of ethtool without its name, and what it sets. */
export type CardCommand = { argv: [string, ...string[]]; settings: CardSetting[] };

/** The commands that bring about these values, one for each kind: a card that resets itself for its rings does so once. */
export function cardCommands(
  card: string,
  values: Partial<Record<CardSetting, number | boolean>>,
  state: CardState,
): CardCommand[] {
  const commands = new Map<string, CardCommand>();
  for (const name of cardSettings) {
    const value = values[name];
    if (value === undefined) continue;
    const option = optionOf(name);
    const command: CardCommand = commands.get(option) ?? { argv: ["ethtool", option, card], settings: [] };
    const word = typeof value === "boolean" ? (value ? "on" : "off") : String(value);
    command.argv.push(...wordsOf(name, state).flatMap((each) => [each, word]));
    command.settings.push(name);
    commands.set(option, command);
  }
  return [...commands.values()];
}

function optionOf(name: CardSetting): string {
  if (name in numbers) return numbers[name as keyof typeof numbers].option;
  return name in switches ? switches[name as keyof typeof switches].option : "-K";
}

function wordsOf(name: CardSetting, state: CardState): readonly string[] {
  if (name in numbers) return [numbers[name as keyof typeof numbers].word];
  if (name in switches) return [switches[name as keyof typeof switches].word];
  return state[name]?.features ?? offloads[name as keyof typeof offloads];
}

function keys<Key extends string>(object: Record<Key, unknown>): Key[] {
  return Object.keys(object) as Key[];
}
