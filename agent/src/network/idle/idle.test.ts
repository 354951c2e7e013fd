import * as fs from "node:fs/promises";
import t from "tap";
import { makeMachine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import { fakeNetlink } from "../../adapters/testing.ts";
import { configuration, emptyConfiguration } from "../../configuration/schema.ts";
import { raiseCard } from "./apply.ts";
import { idleCards } from "./index.ts";

const make = (unconfiguredCards: string, interfaces: object = {}) =>
  configuration.parse({ ...emptyConfiguration(), system: { unconfiguredCards }, interfaces });

const nic = (index: number, more: Partial<Link> = {}): Link =>
  ({
    index,
    name: `nic${index}`,
    kind: undefined,
    ethernet: true,
    loopback: false,
    master: undefined,
    up: false,
    ...more,
  }) as Link;

t.test("cards that nothing uses are up to be looked at, without any address, or down", async (t) => {
  const links = [
    nic(1, { name: "lo", loopback: true, ethernet: false, up: true }),
    nic(2, { up: true }),
    nic(3),
    nic(4),
    nic(5, { up: true }),
    nic(6, { up: true, master: 9 }),
    nic(7),
    nic(9, { name: "bond0", kind: "bond", up: true }),
    nic(10, { name: "br0", kind: "bridge" }),
  ];
  const ran: string[] = [];
  const machine = makeMachine({
    root: t.testdir(),
    netlink: fakeNetlink({ links: async () => links }),
    run: async (argv) => {
      ran.push(argv.join(" "));
      const link = links.find(({ name }) => name === argv[4]);
      if (link && argv.length === 6) link.up = argv[5] === "up";
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  const apply = async (wanted: ReturnType<typeof make>) => {
    ran.length = 0;
    const steps = await idleCards.plan(wanted, machine);
    for (const step of steps) await step.execute();
    return steps.map(({ summary }) => summary);
  };
  const interfaces = {
    nic2: {},
    bond0: { kind: "bond", bond: { members: ["nic6"] } },
    vlan7: { kind: "vlan", vlan: { parent: "nic7", id: 7 } },
  };
  t.same(await apply(make("down", interfaces)), [], "what is up by somebody else's hand stays up");
  t.same(await apply(make("up", interfaces)), [
    "card nic3, which nothing uses: up, to be looked at",
    "card nic4, which nothing uses: up, to be looked at",
  ]);
  t.same(ran, [
    "ip link set dev nic3 addrgenmode none",
    "ip link set dev nic3 up",
    "ip link set dev nic4 addrgenmode none",
    "ip link set dev nic4 up",
  ]);
  t.same(await apply(make("up", interfaces)), []);
  links.push(nic(11, { name: "nic8" }));
  t.same(
    await apply(make("up", interfaces)),
    ["card nic8, which nothing uses: up, to be looked at"],
    "a card that comes later",
  );
  t.same(await apply(make("down", { ...interfaces, nic4: {} })), [
    "card nic3, which nothing uses: down",
    "card nic8, which nothing uses: down",
  ]);
  t.same(
    links.filter(({ up }) => up).map(({ name }) => name),
    ["lo", "nic2", "nic4", "nic5", "nic6", "bond0"],
    "one that is configured now stays up",
  );
  t.same(await apply(make("down", { ...interfaces, nic4: {} })), []);
  t.same(await fs.readdir(machine.path("/run/steelyard/raised")), ["4"]);
});

t.test(
  "cards that a console has raised for its questions go down with the first configuration, whoever gave it",
  async (t) => {
    const links = [nic(2), nic(3)];
    const ran: string[] = [];
    const console = makeMachine({
      root: t.testdir(),
      netlink: fakeNetlink({ links: async () => links }),
      run: async (argv) => {
        ran.push(argv.join(" "));
        // A kernel without IPv6 knows no such mode.
        return { code: argv.includes("addrgenmode") ? 2 : 0, stdout: "", stderr: "" };
      },
    });
    for (const link of links) {
      await raiseCard(console, link);
      link.up = true;
    }
    const agent = makeMachine({ ...console, root: console.path("/") });
    const [step, ...others] = await idleCards.plan(make("down", { nic2: {} }), agent);
    t.same(others, []);
    await step?.execute();
    t.equal(ran.at(-1), "ip link set dev nic3 down");
  },
);

t.test("a card that cannot be raised fails no commit, and is told once", async (t) => {
  const warnings: string[] = [];
  const machine = makeMachine({
    root: t.testdir(),
    netlink: fakeNetlink({ links: async () => [nic(2)] }),
    log: { info: () => {}, warn: (text) => warnings.push(text), error: () => {} },
    run: async (argv) => {
      if (argv.at(-1) === "up") throw new Error("RTNETLINK answers: No such device or address");
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  const [step] = await idleCards.plan(make("up"), machine);
  await step?.execute();
  t.same(warnings, ["card nic2: RTNETLINK answers: No such device or address"]);
  t.same(await idleCards.plan(make("up"), machine), []);
});
