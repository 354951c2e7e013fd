import { openEventStream } from "../src/box/event-stream.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { hotplugPort } from "../src/vm/arguments.ts";
import { waitFor } from "../src/wait.ts";

const [firstMac, secondMac, thirdMac] = ["52:54:00:5e:00:31", "52:54:00:5e:00:32", "52:54:00:5e:00:33"];

/** Network cards under their names: bound, plugged in, pulled out, replaced, told how to work. */
export const cards: Suite = {
  name: "cards",
  machine: "bios",
  run: async (context) => {
    await checkNames(context);
    await checkHotplug(context);
    await checkReplacement(context);
    await checkSettings(context);
  },
};

async function checkNames({ box: { machine, api }, check }: SuiteContext): Promise<void> {
  await check("the cards have names outside of ethN, bound by MAC and place", async (t) => {
    const { items } = await api.get("/network/links");
    t.match(items, [
      { name: "nic0", permanentMac: "52:54:00:5e:00:01", binding: { by: "mac", path: "pci-0000:00:10.0" } },
      { name: "nic1", permanentMac: "52:54:00:5e:00:02", binding: { by: "mac", path: "pci-0000:00:11.0" } },
    ]);
    t.match(items[0], { driver: "virtio_net", bus: "0000:00:10.0", profiles: /virt/, queues: { receive: 1, send: 1 } });
    t.ok((items[0]?.counters?.receivedPackets ?? 0) > 0, "counters count");
    t.ok((items[0]?.alternativeNames.length ?? 0) > 0, `udev's names: ${items[0]?.alternativeNames}`);
    t.notMatch(await machine.shell("ls /sys/class/net"), /eth\d/);
    t.equal(await machine.shell("ls /config/local/links"), "10-nic0.link\n10-nic1.link");
    t.notMatch(
      await machine.shell("journalctl -b -u systemd-networkd -u systemd-udevd"),
      /unpredictable|Unknown section/,
    );
  });
}

/** Without a peer: carrier is not the point. */
async function plug({ box: { machine } }: SuiteContext, mac: string, driver = "virtio-net-pci"): Promise<void> {
  await machine.qmp.execute("device_add", { driver, id: "plugged", bus: hotplugPort, mac, romfile: "" });
}

async function pull({ box: { machine } }: SuiteContext): Promise<void> {
  await machine.qmp.execute("device_del", { id: "plugged" });
}

async function checkHotplug(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const { machine, api } = box;
  await check("a card that is plugged in is told within a second, named and bound", async (t) => {
    const stream = await openEventStream(box);
    try {
      const before = performance.now();
      await plug(context, firstMac);
      const isNew = ({ kind, data }: { kind: string; data: Record<string, unknown> }) =>
        kind === "link-state" && data.before === undefined;
      const { at, data } = await stream.next("the new link", isNew, machine.scale(10_000));
      // By the kernel's own clock, for the hypervisor's signal and the probing of the bus take their time under emulation.
      const seen = await machine.shell(
        `journalctl -b -k -o short-unix | grep -E 'virtio_net|${String(data.link)}' | tail -1`,
      );
      t.comment(`event ${Math.round(at - before)} ms after device_add; the kernel: ${seen}`);
      t.ok(at - before < machine.scale(1_000), `${Math.round(at - before)} ms`);
      await stream.next("its name", ({ data }) => data.link === "nic2", machine.scale(10_000));
      await waitFor("its binding", async () => (await bindingOf(context, "nic2")) !== undefined, {
        timeout: machine.scale(5_000),
      });
      t.match(await bindingOf(context, "nic2"), { by: "mac", mac: firstMac });
      await pull(context);
      await stream.next("the end", ({ data }) => data.link === "nic2" && data.state === "gone", machine.scale(10_000));
      t.match(await api.get("/network/links/{link}", { path: { link: "nic2" } }), { state: "missing", candidates: [] });
    } finally {
      stream.close();
    }
  });
}

async function bindingOf({ box: { api } }: SuiteContext, name: string) {
  return (await api.get("/network/links")).items.find((each) => each.name === name && each.state !== "missing")
    ?.binding;
}

async function checkReplacement(context: SuiteContext): Promise<void> {
  const { machine, api } = context.box;
  await context.check("another card in the slot is offered, adopted, and given up again", async (t) => {
    await plug(context, secondMac);
    const missing = async () => await api.get("/network/links/{link}", { path: { link: "nic2" } });
    const patience = { timeout: machine.scale(10_000), interval: 300 };
    await waitFor("the new card", async () => (await bindingOf(context, "nic3")) !== undefined, patience);
    t.match(await missing(), { state: "missing", candidates: [{ name: "nic3", reason: "replaced" }] });
    const answer = await api.expect(200, "POST", "/network/links/nic2/adopt", { body: {} });
    t.match(answer.body, { name: "nic2", permanentMac: secondMac, binding: { mac: secondMac } });
    t.equal(await machine.shell("ls /config/local/links"), "10-nic0.link\n10-nic1.link\n10-nic2.link");
    t.match((await api.send("POST", "/network/links/nic2/adopt", { body: {} })).body, { code: "in-use" });
    t.match((await api.send("DELETE", "/network/links/nic2")).body, { code: "in-use" });
    await pull(context);
    await waitFor("the card to go", async () => (await missing()).state === "missing", patience);
    t.match((await api.send("POST", "/network/links/nic2/adopt", { body: {} })).body, { code: "ambiguous" });
    await api.expect(204, "DELETE", "/network/links/nic2");
    t.equal(await machine.shell("ls /config/local/links"), "10-nic0.link\n10-nic1.link");
  });
  await context.check("LLDP and LACP can be listened for", async (t) => {
    t.same(await api.get("/network/bond-proposals", { query: { listen: 1 } }), { items: [], total: 0 });
    t.match(JSON.parse(await machine.shell("networkctl lldp --json=short")), {});
    t.notMatch(await machine.shell("journalctl -b -u steelyard-agent --no-pager"), /LACP: listening|LLDP neighbours/);
  });
}

/** QEMU's 82574: its rings, interrupts and offloads can be told, which those of a virtio card cannot. */
async function checkSettings(context: SuiteContext): Promise<void> {
  const { machine, api } = context.box;
  const patience = { timeout: machine.scale(30_000), interval: 500 };
  const readSettings = async () => (await api.get("/network/links/{link}", { path: { link: "nic2" } })).settings ?? [];
  const readValues = async () => Object.fromEntries((await readSettings()).map(({ setting, now }) => [setting, now]));
  const put = async (status: number, card: object) =>
    await api.expect(status, "PUT", "/network/interfaces/nic2", { body: { card }, timeout: machine.scale(30_000) });
  const told = {
    "rings.receive": 1024,
    "rings.send": 4096,
    "coalescing.receiveMicroseconds": 50,
    "offloads.receiveChecksum": false,
  };
  await context.check(
    "a card is told its rings, interrupts and offloads, refuses what it has not, and forgets them",
    async (t) => {
      await plug(context, thirdMac, "e1000e");
      await waitFor("the card", async () => (await bindingOf(context, "nic2")) !== undefined, patience);
      const first = await readValues();
      t.match(first, {
        "rings.receive": Number,
        "coalescing.receiveMicroseconds": Number,
        "offloads.receiveChecksum": true,
      });
      t.match((await readSettings()).slice(0, 2), [
        { setting: "rings.receive", most: 4096 },
        { setting: "rings.send", most: 4096 },
      ]);
      const own = { enabled: true, card: { rings: { receive: 8192 }, channels: { combined: 2 } } };
      const { body } = await api.expect(422, "PUT", "/network/interfaces/nic2", { body: own });
      t.match(body, {
        problems: [
          { path: "interfaces.nic2.card.channels.combined", message: /nothing of the kind/ },
          { path: "interfaces.nic2.card.rings.receive", message: /at most 4096/ },
        ],
      });
      t.same(await readValues(), first, "nothing was changed");
      await put(201, {
        rings: { receive: 1024, send: "max" },
        coalescing: { receiveMicroseconds: 50 },
        offloads: { receiveChecksum: false },
      });
      t.match(await readValues(), told);
      t.match(await machine.shell("ethtool -g nic2"), /Current hardware settings:\s+RX:\s+1024[\s\S]*TX:\s+4096/);
      await machine.shell("ethtool -G nic2 rx 128 && ethtool -K nic2 rx on");
      const isRepaired = async () => {
        const values = await readValues();
        return values["rings.receive"] === 1024 && values["offloads.receiveChecksum"] === false;
      };
      await waitFor("the settings", isRepaired, patience);
      t.match(await readValues(), told, "what somebody else has changed is put back");
      await put(200, { rings: { send: "max" } });
      t.same(await readValues(), { ...first, "rings.send": 4096 }, "what is removed is as it was at first");
      await api.expect(204, "DELETE", "/network/interfaces/nic2");
      t.same(await readValues(), first);
      t.same(
        (await api.get("/system/status")).warnings.filter((each) => each.startsWith("card")),
        [],
      );
    },
  );
  await context.check(
    "a card that nothing uses is raised to be looked at when that is set, without any address",
    async (t) => {
      const read = async () => await api.get("/network/links/{link}", { path: { link: "nic2" } });
      const set = async (unconfiguredCards: string) =>
        await api.expect(200, "PATCH", "/system", { body: { unconfiguredCards }, timeout: machine.scale(30_000) });
      t.equal((await read()).state, "down");
      await set("up");
      t.not((await read()).state, "down");
      await machine.shell("ip link set nic2 down");
      await waitFor("the card to be up again", async () => (await read()).state !== "down", patience);
      t.match(await machine.shell("ip -d link show nic2"), /addrgenmode none/);
      t.same((await read()).addresses, []);
      await set("down");
      t.equal((await read()).state, "down");
      await pull(context);
      await waitFor("the card to go", async () => (await read()).state === "missing", patience);
      await api.expect(204, "DELETE", "/network/links/nic2");
    },
  );
}
