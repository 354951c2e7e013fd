import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { listProfiles, readProfile } from "../../../../image/builder/src/profile.ts";
import {
  type CardState,
  cardCommands,
  cardSettings,
  readCardStates,
  toCardState,
} from "../../adapters/card-settings.ts";
import { makeMachine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import { parseAttributes } from "../../adapters/netlink-codec.ts";
import { fakeNetlink } from "../../adapters/testing.ts";
import type { Subsystem } from "../../commit/subsystem.ts";
import { configuration, emptyConfiguration } from "../../configuration/schema.ts";
import { SteelyardError } from "../../errors.ts";
import { cards } from "./index.ts";
import { localizeCards } from "./localize.ts";
import { profileCards } from "./profile-cards.ts";
import { listWishes, renderCards } from "./render.ts";
import { card } from "./schema.ts";
import { describeRefusals, describeSettings, readKeptCard } from "./status.ts";
import { verifyCards } from "./verify.ts";

const make = (interfaces: object) => configuration.parse({ ...emptyConfiguration(), interfaces });
const wanting = (settings: object) => make({ nic0: { card: settings } });

/** As an ixgbe says of itself, in what matters here. */
const ixgbe = (): CardState => ({
  "rings.receive": { now: 512, most: 4096, fixed: false },
  "rings.send": { now: 512, most: 4096, fixed: false },
  "channels.combined": { now: 8, most: 63, fixed: false },
  "coalescing.receiveMicroseconds": { now: 1, fixed: false },
  "offloads.receiveChecksum": { now: true, fixed: false, features: ["rx-checksum"] },
  "offloads.tcpSegmentation": { now: true, fixed: false, features: ["tx-tcp-segmentation", "tx-tcp6-segmentation"] },
  "offloads.genericReceiveHardware": { now: false, fixed: true, features: [] },
});

const fields: Record<string, keyof CardState> = {
  "-G rx": "rings.receive",
  "-G tx": "rings.send",
  "-L combined": "channels.combined",
  "-C rx-usecs": "coalescing.receiveMicroseconds",
  "-K rx-checksum": "offloads.receiveChecksum",
  "-K tx-tcp-segmentation": "offloads.tcpSegmentation",
  "-K tx-tcp6-segmentation": "offloads.tcpSegmentation",
};

/** A machine with one card, on which ethtool does what it is told, unless `refuse` has words for it. */
function setUp(t: Test, options: { refuse?: (argv: readonly string[]) => string | undefined; image?: string } = {}) {
  const kernel = { index: 2 as number | undefined, state: ixgbe() };
  const ran: string[] = [];
  const warnings: string[] = [];
  const machine = makeMachine({
    root: t.testdir({
      usr: { lib: { "os-release": `ID=steelyard\nIMAGE_ID=${options.image ?? "steelyard-virt"}\n` } },
      sys: {
        class: { net: { nic0: { device: { driver: t.fixture("symlink", "../../../../bus/pci/drivers/ixgbe") } } } },
      },
    }),
    netlink: fakeNetlink({
      links: async () => (kernel.index === undefined ? [] : [{ index: kernel.index, name: "nic0" } as Link]),
    }),
    readCardStates: async () =>
      new Map(kernel.index === undefined ? [] : [[kernel.index, structuredClone(kernel.state)]]),
    log: { info: () => {}, warn: (text) => warnings.push(text), error: () => {} },
    run: async (argv) => {
      ran.push(argv.join(" "));
      const words = options.refuse?.(argv);
      if (words !== undefined) throw new SteelyardError("command-failed", words);
      for (let at = 3; at < argv.length; at += 2) {
        const field = fields[`${argv[1]} ${argv[at]}`];
        const state = field && kernel.state[field];
        if (!state) throw new Error(`ethtool was told ${argv.join(" ")}`);
        const value = argv[at + 1] ?? "";
        // Drivers round rings to what they can.
        const number = argv[1] === "-G" ? Math.ceil(Number(value) / 8) * 8 : Number(value);
        state.now = typeof state.now === "boolean" ? value === "on" : number;
      }
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  return { machine, kernel, ran, warnings };
}

type Box = ReturnType<typeof setUp>;

async function apply(
  { machine }: Box,
  wanted: ReturnType<typeof make>,
  tolerant = false,
  subsystem: Subsystem = cards,
) {
  await subsystem.check(wanted, machine);
  const steps = await subsystem.plan(wanted, machine);
  for (const step of steps) await step.execute({ tolerant });
  return steps.map(({ summary }) => summary);
}

t.test("settings of a card have ranges, and what contradicts itself is named with its field", async (t) => {
  t.same(card.parse({}), {}, "everything may be left out");
  const messages = (value: object) =>
    card.safeParse(value).error?.issues.map(({ path, message }) => [path.join("."), message]);
  t.same(messages({ rings: { receive: 0, send: "most" }, coalescing: { sendFrames: -1 }, offloads: { gro: true } }), [
    ["rings.receive", "expected a whole number of descriptors from 1 to 65536, or max"],
    ["rings.send", "expected a whole number of descriptors from 1 to 65536, or max"],
    ["coalescing.sendFrames", "expected a whole number of packets from 0 to 65535"],
    ["offloads", 'Unrecognized key: "gro"'],
  ]);
  const findings = verifyCards(
    make({
      nic0: {
        card: {
          coalescing: { adaptiveReceive: true, receiveFrames: 8, adaptiveSend: false, sendFrames: 8 },
          offloads: { sendChecksum: false, tcpSegmentation: true },
        },
      },
      br0: { kind: "bridge", bridge: { members: [] }, card: { rings: { receive: 64 } } },
    }),
  );
  t.same(
    findings.map(({ path, message }) => `${path}: ${message}`),
    [
      "interfaces.nic0.card.coalescing.receiveFrames: expected no value: with adaptiveReceive the card finds it by itself",
      "interfaces.nic0.card.offloads.tcpSegmentation: expected false: it needs sendChecksum",
      "interfaces.br0.card: expected no settings of a card: the kind is bridge",
    ],
  );
});

t.test("every field of a card is a setting, and every setting a field", async (t) => {
  const everything = Object.fromEntries(
    Object.entries(card.shape).map(([group, object]) => {
      const shape = object.unwrap().shape as Record<string, unknown>;
      return [group, Object.fromEntries(Object.keys(shape).map((field) => [field, group === "rings" ? 64 : true]))];
    }),
  );
  t.same(Object.keys(listWishes(everything as never)).sort(), [...cardSettings].sort());
});

t.test(
  "rings, channels and interrupts are read as the kernel has them: the answers of a virtio card of Linux 6.18",
  async (t) => {
    const read = (pairs: Record<number, string>) => parseAttributes(nest(pairs));
    const nest = (pairs: Record<number, string>) =>
      Buffer.concat(
        Object.entries(pairs).map(([type, hex]) => {
          const value = Buffer.from(hex, "hex");
          const head = Buffer.alloc(4);
          head.writeUInt16LE(value.length + 4, 0);
          head.writeUInt16LE(Number(type), 2);
          return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
        }),
      );
    const rings = read({ 2: "00010000", 6: "00010000", 5: "00010000", 9: "00010000", 13: "00", 14: "00" });
    const channels = read({ 5: "01000000", 9: "01000000" });
    const coalescing = read({ 2: "00000000", 3: "01000000", 6: "00000000", 7: "01000000", 11: "00" });
    t.same(toCardState({ rings, channels, coalescing }), {
      "channels.combined": { now: 1, most: 1, fixed: true },
      "rings.receive": { now: 256, most: 256, fixed: false },
      "rings.send": { now: 256, most: 256, fixed: false },
      "coalescing.receiveMicroseconds": { now: 0, fixed: false },
      "coalescing.receiveFrames": { now: 1, fixed: false },
      "coalescing.sendMicroseconds": { now: 0, fixed: false },
      "coalescing.sendFrames": { now: 1, fixed: false },
      "coalescing.adaptiveReceive": { now: false, fixed: false },
    });
    t.same(toCardState({}), {}, "a link that knows nothing of the kind");
  },
);

t.test("this kernel's own links are all told, with what can be changed of them", async (t) => {
  const links = await makeMachine().netlink.links();
  const states = await readCardStates();
  t.same([...states.keys()].sort(), links.map(({ index }) => index).sort(), "no dump breaks off");
  const loopback = states.get(links.find(({ loopback }) => loopback)?.index ?? 0) ?? {};
  t.match(loopback, {
    "offloads.receiveChecksum": { now: true, fixed: true },
    "offloads.sendVlan": { now: false, fixed: true },
    "offloads.tcpSegmentation": { now: true, fixed: false },
  });
  t.ok(loopback["offloads.tcpSegmentation"]?.features?.includes("tx-tcp-segmentation"), "by the kernel's names");
});

t.test("ethtool is called once for each kind, channels first, with the kernel's own names of offloads", async (t) => {
  const state = ixgbe();
  const values = {
    "offloads.tcpSegmentation": false,
    "rings.send": 1024,
    "rings.receive": 4096,
    "channels.combined": 4,
    "coalescing.adaptiveReceive": true,
  } as const;
  t.same(
    cardCommands("nic0", values, state).map(({ argv }) => argv.join(" ")),
    [
      "ethtool -L nic0 combined 4",
      "ethtool -G nic0 rx 4096 tx 1024",
      "ethtool -C nic0 adaptive-rx on",
      "ethtool -K nic0 tx-tcp-segmentation off tx-tcp6-segmentation off",
    ],
  );
});

t.test("a card gets its settings once; a repetition, and the same wish again, change nothing", async (t) => {
  const box = setUp(t);
  const wanted = wanting({ rings: { receive: 1001, send: "max" }, offloads: { tcpSegmentation: false } });
  t.same(await apply(box, wanted), ["card nic0: rings.receive 1001, rings.send max, offloads.tcpSegmentation off"]);
  t.same(box.ran, [
    "ethtool -G nic0 rx 1001 tx 4096",
    "ethtool -K nic0 tx-tcp-segmentation off tx-tcp6-segmentation off",
  ]);
  t.match(box.kernel.state, { "rings.receive": { now: 1008 }, "rings.send": { now: 4096 } }, "rounded by the driver");
  t.same(await apply(box, wanted), [], "which is no drift");
  t.match(describeSettings(box.kernel.state, await readKeptCard(box.machine, "nic0")).slice(0, 3), [
    { setting: "channels.combined", now: 8, most: 63, wanted: undefined },
    { setting: "rings.receive", now: 1008, most: 4096, wanted: 1001, refused: undefined },
    { setting: "rings.send", now: 4096, most: 4096, wanted: "max" },
  ]);
});

t.test(
  "what a setting was at first comes back when it is removed, one by one and over a restart of the agent",
  async (t) => {
    const box = setUp(t);
    await apply(box, wanting({ rings: { receive: 1024, send: 1024 }, channels: { combined: 2 } }));
    await apply(box, wanting({ rings: { receive: 2048, send: 1024 }, channels: { combined: 2 } }));
    t.same(await apply(box, wanting({ rings: { send: 1024 } })), [
      "card nic0: channels.combined as at first, rings.receive as at first",
    ]);
    t.match(box.kernel.state, {
      "rings.receive": { now: 512 },
      "rings.send": { now: 1024 },
      "channels.combined": { now: 8 },
    });
    t.same(await apply(box, make({})), ["card nic0: as it was at first (rings.send)"]);
    t.same(box.kernel.state, ixgbe());
    t.same(await fs.readdir(box.machine.path("/run/steelyard/cards")), []);
    t.same(await apply(box, make({})), []);
  },
);

t.test(
  "what the card does not take is refused with its field and the card's maximum, and nothing was changed",
  async (t) => {
    const box = setUp(t);
    const wanted = wanting({
      rings: { receive: 8192, send: 4096 },
      channels: { receive: 2 },
      offloads: { genericReceiveHardware: true, receiveChecksum: true },
    });
    await t.rejects(cards.check(wanted, box.machine), {
      code: "invalid-configuration",
      problems: [
        {
          path: "interfaces.nic0.card.channels.receive",
          message: "expected no value: nic0 has nothing of the kind to set",
        },
        {
          path: "interfaces.nic0.card.rings.receive",
          message: "expected at most 4096, which is all that nic0 takes",
        },
        {
          path: "interfaces.nic0.card.offloads.genericReceiveHardware",
          message: "expected false: nic0 has it off for good",
        },
      ],
    });
    t.same(box.ran, []);
    t.same(
      await cards.check(wanting({ offloads: { genericReceiveHardware: false } }), box.machine),
      undefined,
      "as it is",
    );
    box.kernel.index = undefined;
    t.same(await cards.check(wanted, box.machine), undefined, "a card that is not there cannot be asked");
  },
);

t.test("what a driver refuses fails the commit in its words, and all of the card is put back", async (t) => {
  const refuse = (argv: readonly string[]) => (argv[1] === "-C" ? "netlink error: Operation not permitted" : undefined);
  const box = setUp(t, { refuse });
  const before = wanting({ rings: { send: 1024 } });
  await apply(box, before);
  const wanted = wanting({
    rings: { send: 1024 },
    channels: { combined: 4 },
    coalescing: { receiveMicroseconds: 50 },
  });
  await t.rejects(apply(box, wanted), {
    code: "apply-failed",
    problems: [
      {
        path: "interfaces.nic0.card.coalescing.receiveMicroseconds",
        message: /the card does not take it: netlink error: Operation not permitted/,
      },
    ],
  });
  t.match(box.kernel.state, { "channels.combined": { now: 4 } }, "this came before");
  t.same(await apply(box, before, true), ["card nic0: rings.send 1024"]);
  t.match(box.kernel.state, { "channels.combined": { now: 8 }, "rings.send": { now: 1024 } });
  t.same(await apply(box, before), []);
});

t.test("at a boot what the card refuses is a warning, told once, and the rest of the card is set", async (t) => {
  const box = setUp(t, { refuse: (argv) => (argv[1] === "-G" ? "netlink error: Invalid argument" : undefined) });
  const wanted = wanting({ rings: { receive: 64 }, channels: { combined: 128 }, offloads: { tcpSegmentation: false } });
  const steps = await cards.plan(wanted, box.machine);
  for (const step of steps) await step.execute({ tolerant: true });
  t.match(box.kernel.state, { "channels.combined": { now: 8 }, "offloads.tcpSegmentation": { now: false } });
  const words = [
    "card nic0: channels.combined: expected at most 63, which is all that nic0 takes",
    "card nic0: rings.receive: the card does not take it: netlink error: Invalid argument",
  ];
  t.same(box.warnings, words);
  t.same(await describeRefusals(box.machine), words, "a warning of the system's status");
  t.same(await cards.plan(wanted, box.machine), [], "and not tried again and again");
  const more = { rings: { receive: 64 }, channels: { combined: 128 } };
  t.same(
    await apply(box, wanting(more)),
    ["card nic0: offloads.tcpSegmentation as at first"],
    "nor in the way of changes",
  );
  t.match(box.kernel.state, { "offloads.tcpSegmentation": { now: true } });
  t.same(await describeRefusals(box.machine), words, "and it is still a warning");
  await t.rejects(
    apply(box, wanting({ ...more, rings: { receive: 65 } })),
    { code: "apply-failed" },
    "a new wish is told",
  );
});

t.test("an offload that stays off for want of another one is told", async (t) => {
  const box = setUp(t, { refuse: () => undefined });
  await apply(box, wanting({ offloads: { tcpSegmentation: false } }));
  const deaf = makeMachine({
    ...box.machine,
    root: box.machine.path("/"),
    run: async () => ({ code: 0, stdout: "", stderr: "" }),
  });
  const [step] = await cards.plan(wanting({ offloads: { tcpSegmentation: true } }), deaf);
  await t.rejects(async () => await step?.execute({ tolerant: false }), {
    code: "apply-failed",
    problems: [{ message: /it is off all the same/ }],
  });
});

t.test("what somebody changed on a card is drift, and put back", async (t) => {
  const box = setUp(t);
  const wanted = wanting({ rings: { receive: 1024 } });
  await apply(box, wanted);
  const ring = box.kernel.state["rings.receive"];
  const checksum = box.kernel.state["offloads.receiveChecksum"];
  if (ring) ring.now = 256;
  if (checksum) checksum.now = false;
  t.same(await apply(box, wanted, true), ["card nic0 again: its rings.receive is 256, not 1024"]);
  t.match(
    box.kernel.state,
    { "rings.receive": { now: 1024 }, "offloads.receiveChecksum": { now: false } },
    "and no more",
  );
  await apply(box, make({}));
  t.match(box.kernel.state, { "rings.receive": { now: 512 } }, "what was there at first, not what somebody made of it");
});

t.test("a card that comes later gets its settings then, and one that comes anew begins anew", async (t) => {
  const box = setUp(t);
  const wanted = wanting({ rings: { receive: 1024 } });
  box.kernel.index = undefined;
  await apply(box, wanted);
  t.match(box.warnings, ["card nic0 is not in this machine; its settings wait for it"]);
  t.same(await apply(box, wanted), [], "told once");
  box.kernel.index = 7;
  t.same(await apply(box, wanted, true), ["card nic0 again: the card came"]);
  t.match(box.kernel.state, { "rings.receive": { now: 1024 } });
  box.kernel.index = 8;
  box.kernel.state = { ...ixgbe(), "rings.receive": { now: 256, most: 512, fixed: false } };
  t.same(await apply(box, wanted, true), ["card nic0 again: the card came"]);
  t.match(await describeRefusals(box.machine), [/at most 512/], "another card of the name, which takes less");
  await apply(box, make({}), true);
  t.match(box.kernel.state, { "rings.receive": { now: 256 } });
});

t.test(
  "settings of the hardware profile lie under those of the configuration, as far as the card takes them",
  async (t) => {
    const rules = {
      metal: [
        { drivers: ["igb"], rings: { receive: 64 } },
        {
          drivers: ["ixgbe"],
          rings: { receive: 8192, send: 1024 },
          channels: { receive: 4 },
          offloads: { genericReceiveHardware: true, tcpSegmentation: false },
        },
      ],
    };
    const wishes = async (box: Box, interfaces: object) =>
      renderCards((await localizeCards(make(interfaces), box.machine, rules)).configuration);
    const metal = setUp(t, { image: "steelyard-metal" });
    const whole = { "rings.receive": 4096, "rings.send": 1024, "offloads.tcpSegmentation": false };
    t.match(await wishes(metal, { nic0: {} }), { nic0: { wanted: whole } });
    t.match(await wishes(metal, { bond0: { kind: "bond", bond: { members: ["nic0"] } } }), { nic0: { wanted: whole } });
    const pattern = { bond0: { kind: "bond", bond: { memberPattern: { driver: "ixgbe" } } } };
    t.match(await wishes(metal, pattern), { nic0: { wanted: whole } });
    const own = { nic0: { card: { rings: { receive: 256 }, offloads: { tcpSegmentation: true } } } };
    const mixed = { "rings.receive": 256, "rings.send": 1024, "offloads.tcpSegmentation": true };
    t.match(await wishes(metal, own), { nic0: { wanted: mixed } });
    t.same(await wishes(metal, {}), {}, "a card that is not configured is left alone");
    t.same(await wishes(setUp(t), { nic0: {} }), {}, "the image of another profile");
  },
);

t.test("profiles name drivers they have, and settings that a configuration may have", async (t) => {
  for (const name of await listProfiles()) {
    const { cards: rules, nicDrivers } = await readProfile(name);
    t.same(profileCards[name] ?? [], rules, `${name}: npm run generate`);
    for (const { drivers, ...settings } of rules) {
      t.same(card.parse(settings), settings);
      t.same(
        drivers.filter((each) => !nicDrivers.includes(each)),
        [],
      );
    }
  }
  t.ok(profileCards.metal, "metal has some");
});
