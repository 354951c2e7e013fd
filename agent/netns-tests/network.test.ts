import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { writeAtomically } from "../src/adapters/files.ts";
import { makeMachine } from "../src/adapters/machine.ts";
import { run } from "../src/adapters/process.ts";
import { configuration, emptyConfiguration } from "../src/configuration/schema.ts";
import { network } from "../src/network/index.ts";
import { renderNetwork } from "../src/network/render.ts";
import { readInterfaceStatus, readLinks } from "../src/network/status.ts";
import { cards } from "../src/network/tuning/index.ts";
import { enterBox, until } from "./lab.ts";

/** What the agent reads of the network, from a real kernel. systemd-networkd itself runs in the VM suite. */
t.setTimeout(120_000);
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const ip = (words: string) => run(["ip", ...words.split(" ")] as [string, ...string[]]);
  const root = await mkdtemp(join(tmpdir(), "steelyard-network-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const box = makeMachine();
  const { netlink } = box;
  // sysfs shows the namespace it was mounted in.
  await run(["mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys"]);
  await ip("link set lo up");
  await ip("link add nic0 address 02:00:00:00:00:10 mtu 1400 type veth peer name far0");
  await ip("link add nic1 type veth peer name far1");
  for (const name of ["nic0", "far0", "nic1"]) await ip(`link set ${name} up`);
  await ip("addr add 192.0.2.5/24 dev nic0");
  await ip("addr add 2001:db8::5/64 dev nic0 nodad");
  await ip("route add default via 192.0.2.1");
  await ip("-6 route add default via 2001:db8::1 dev nic0");
  // A route of another table is not the box's default route.
  await ip("route add default via 192.0.2.9 table 100");

  await t.test("links with their state, kind and addresses", async (t) => {
    // Some kernels put links of their own into every namespace.
    const links = (await readLinks(box)).filter(({ name }) => /^(nic|far)\d$|^lo$/.test(name));
    t.same(
      links.map(({ name, state, driver, carrier }) => [name, state, driver, carrier]),
      [
        ["far0", "up", "veth", true],
        ["far1", "down", "veth", false],
        ["nic0", "up", "veth", true],
        ["nic1", "no-carrier", "veth", false],
      ],
    );
    const nic0 = links.find(({ name }) => name === "nic0");
    t.match(nic0, { mac: "02:00:00:00:00:10", mtu: 1400, speed: 10_000, duplex: "full" });
    t.ok(nic0?.addresses.includes("192.0.2.5/24"));
    t.ok(nic0?.addresses.includes("2001:db8::5/64"));
    const status = await readInterfaceStatus(box, "nic0");
    t.same(status.gateways.sort(), ["192.0.2.1", "2001:db8::1"]);
    t.ok(status.counters.sentPackets > 0);
  });

  await t.test("a lease is told from a fixed address, and duplicate detection is seen", async (t) => {
    await ip("addr add 192.0.2.77/24 dev nic0 valid_lft 100 preferred_lft 100");
    await ip("addr add 2001:db8::77/64 dev nic0");
    const find = async (address: string) => (await netlink.addresses()).find((each) => each.address === address);
    t.match(await find("192.0.2.77/24"), { permanent: false, scope: "global" });
    t.match(await find("2001:db8::77/64"), { permanent: true, tentative: true });
    await until("duplicate address detection", 10_000, async () => {
      return (await find("2001:db8::77/64"))?.tentative === false;
    });
    await ip("addr add 2001:db8::99/64 dev far0 nodad");
    await ip("addr add 2001:db8::99/64 dev nic0");
    await until("a duplicate", 10_000, async () => {
      return (await netlink.addresses()).some(({ address, dadFailed }) => address === "2001:db8::99/64" && dadFailed);
    });
    await ip("addr del 2001:db8::99/64 dev far0");
  });

  await t.test("drift of the kernel from the rendered files is a plan", async (t) => {
    const machine = makeMachine({ root });
    const wanted = configuration.parse({
      ...emptyConfiguration(),
      interfaces: { nic0: { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } } },
      virtualAddresses: { web: { interface: "nic0", address: "192.0.2.10/32" } },
    });
    const plan = async () => (await network.plan(wanted, machine)).map(({ summary }) => summary);
    t.same(await plan(), ["set up interface nic0 (+192.0.2.5/24 +192.0.2.10/32)"]);
    const path = machine.path("/run/systemd/network/10-steelyard-nic0.network");
    await writeAtomically(path, renderNetwork(wanted).nic0?.file ?? "");
    t.same(await plan(), ["repair interface nic0: 192.0.2.10/32 is gone"]);
    await ip("addr add 192.0.2.10/32 dev nic0");
    t.same(await plan(), []);
    await ip("addr del 192.0.2.5/24 dev nic0");
    await ip("link set nic0 down");
    // The other end has lost its light, and so has this one: a gateway is not missed without carrier.
    t.same(await plan(), ["repair interface nic0: 192.0.2.5/24 is gone, it is not up"]);
    await ip("link set nic0 up");
    await ip("addr add 192.0.2.5/24 dev nic0");
    t.same(await plan(), ["repair interface nic0: gateway 192.0.2.1 is gone"]);
    await ip("route add default via 192.0.2.1");
    t.same(await plan(), []);
  });

  await t.test("channels and offloads of a card are set, refused, put back after drift, and as at first", async (t) => {
    await ip("link add card0 numrxqueues 4 numtxqueues 4 type veth peer name far2 numrxqueues 4 numtxqueues 4");
    const machine = makeMachine({ root });
    const wanting = (card: object | undefined) =>
      configuration.parse({ ...emptyConfiguration(), interfaces: { card0: { card } } });
    const apply = async (card: object | undefined) => {
      await cards.check(wanting(card), machine);
      const steps = await cards.plan(wanting(card), machine);
      for (const step of steps) await step.execute();
      return steps.map(({ summary }) => summary);
    };
    const read = async () => {
      const index = (await netlink.links()).find(({ name }) => name === "card0")?.index ?? 0;
      return (await box.readCardStates()).get(index) ?? {};
    };
    const first = await read();
    t.match(first, {
      "channels.receive": { now: 4, most: 4, fixed: false },
      "channels.send": { now: 4, most: 4 },
      "offloads.tcpSegmentation": { now: true, fixed: false },
    });
    const settings = { channels: { receive: 2, send: 1 }, offloads: { tcpSegmentation: false, genericReceive: true } };
    await apply(settings);
    const set = {
      "channels.receive": { now: 2 },
      "channels.send": { now: 1 },
      "offloads.tcpSegmentation": { now: false },
      "offloads.genericReceive": { now: true },
    };
    t.match(await read(), set);
    t.same(await apply(settings), []);
    await t.rejects(apply({ channels: { receive: 8 }, rings: { send: 64 } }), {
      code: "invalid-configuration",
      problems: [
        { path: "interfaces.card0.card.channels.receive", message: /at most 4/ },
        { path: "interfaces.card0.card.rings.send", message: /nothing of the kind/ },
      ],
    });
    t.match(await read(), set, "and nothing was changed");
    await run(["ethtool", "-L", "card0", "rx", "3"]);
    await run(["ethtool", "-K", "card0", "tso", "on"]);
    t.same(await apply(settings), [
      "card card0 again: its channels.receive is 3, not 2, its offloads.tcpSegmentation is on, not off",
    ]);
    t.match(await read(), set);
    await apply(undefined);
    t.same(await read(), first);
  });

  await t.test("hundreds of links and addresses come in one piece", async (t) => {
    const commands = Array.from({ length: 200 }, (_, at) => [
      `link add many${at} type veth peer name peer${at}`,
      `addr add 10.${100 + Math.floor(at / 250)}.${at % 250}.1/24 dev many${at}`,
    ]);
    await run(["ip", "-batch", "-"], { input: `${commands.flat().join("\n")}\n`, timeout: 60_000 });
    const links = await readLinks(box);
    t.equal(links.filter(({ name }) => /^(many|peer)\d+$/.test(name)).length, 400);
    t.same(links.find(({ name }) => name === "many199")?.addresses, ["10.100.199.1/24"]);
    t.ok(
      links.findIndex(({ name }) => name === "many9") < links.findIndex(({ name }) => name === "many10"),
      "in the order people count",
    );
  });
}
