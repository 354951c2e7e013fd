import { fileURLToPath } from "node:url";
import t from "tap";
import { routeWords, ruleWords } from "../src/adapters/iproute.ts";
import { run } from "../src/adapters/process.ts";
import { priorities } from "../src/adapters/route-numbers.ts";
import { farm } from "../src/configuration/schema.ts";
import { l4 } from "../src/lslb/l4/index.ts";
import { networkInterface } from "../src/network/schema.ts";
import { readRoutes, readRules, routing, watchNetwork } from "../src/routing/index.ts";
import { routingRoute, routingRule } from "../src/routing/schema.ts";
import { enterBox, type Peer, until } from "./lab.ts";
import { buildUplinksLab, labConfiguration } from "./uplinks-lab.ts";

/** Tables, rules and the way back of answers, with real routers and real connections. */
t.setTimeout(300_000);
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const lab = await buildUplinksLab(() => [routing, l4]);
  t.teardown(() => lab.close());
  const { machine, control, apply, world } = lab;
  const ip = async (words: string) => (await run(["ip", ...words.split(" ")] as [string, ...string[]])).stdout;
  // What networkd would do.
  await ip("route add default via 10.1.0.1 dev wan1 proto static");
  await ip("-6 route add default via fd01::1 dev wan1 proto static");
  const connect = async (peer: Peer, host: string, count = 2) =>
    await peer.ask<string[]>({ ask: "connect", host, port: 80, count, patience: 700 });

  await t.test("a box with one gateway has no rule of ours", async (t) => {
    const steps = await apply((draft) => {
      Object.assign(draft, { interfaces: labConfiguration().interfaces });
      delete draft.interfaces.wan2;
    });
    t.same(steps, []);
    t.same(
      (await machine.netlink.routing()).rules.filter(({ protocol }) => protocol === 83),
      [],
    );
  });

  await t.test("answers leave by the interface through which the connection came in", async (t) => {
    const listener = await listenOnBox();
    t.teardown(() => listener.close());
    await run(["nft", "add", "rule", "inet", "steelyard_base", "farms", "tcp", "dport", "80", "accept"]);
    t.same(await connect(world, "10.1.0.2"), ["box", "box"]);
    t.same(
      await connect(world, "10.2.0.2"),
      ["timeout", "timeout"],
      "without a table of its own, the answer takes the default gateway",
    );
    const steps = await apply((draft) => {
      draft.interfaces = labConfiguration().interfaces;
    });
    t.match(steps.join("\n"), /tables of the interfaces[\s\S]*add route[\s\S]*answers leave where they came in/);
    for (const host of ["10.1.0.2", "10.2.0.2", "fd01::2", "fd02::2"])
      t.same(await connect(world, host), ["box", "box"], host);
    t.same(
      (await routing.plan(control.current().configuration, machine)).map(({ summary }) => summary),
      [],
    );
  });

  await t.test("answers of backends do so too, though they are translated back after they were routed", async (t) => {
    await apply((draft) => {
      for (const [name, address] of [
        ["one", "10.1.0.2"],
        ["two", "10.2.0.2"],
        ["six", "fd02::2"],
      ] as const) {
        const backend = { address: name === "six" ? "fd50::12" : "10.50.0.12" };
        draft.farms[name] = farm.parse({
          profile: "l4xnat",
          virtualAddresses: [address],
          ports: ["80"],
          natType: "dnat",
          backends: { b1: backend },
        });
      }
    });
    t.same(await connect(world, "10.1.0.2"), ["b1 80 10.11.0.2", "b1 80 10.11.0.2"]);
    t.same(await connect(world, "10.2.0.2", 20), Array(20).fill("b1 80 10.12.0.2"));
    t.same(await connect(world, "fd02::2"), ["b1 80 fd12::2", "b1 80 fd12::2"]);
    // A client that both routers can reach: its answers follow the connection and not the client.
    await world.ask({ ask: "connect", host: "10.2.0.2", port: 80, count: 1 });
    const { stdout } = await run([
      "conntrack",
      "-L",
      "-p",
      "tcp",
      "--orig-dst",
      "10.2.0.2",
      "--reply-src",
      "10.50.0.12",
    ]);
    const marks = [...stdout.matchAll(/mark=(\d+)/g)].map(([, mark]) => Number(mark));
    t.ok(
      marks.length > 0 && marks.every((mark) => mark > 0 && mark <= 0xfff),
      "the mark of a connection is nftlb's alone",
    );
    await apply((draft) => {
      for (const each of Object.values(draft.farms)) each.natType = "nat";
    });
    t.same(await connect(world, "10.2.0.2"), ["b1 80 10.50.0.1", "b1 80 10.50.0.1"]);
  });

  await t.test("the agent may be dead: routes and rules stay", async (t) => {
    // Nothing of the agent runs between its calls here; what the kernel has is what serves.
    await lab.nftlb.stop("");
    t.same(await connect(world, "10.2.0.2"), ["b1 80 10.50.0.1", "b1 80 10.50.0.1"]);
    await lab.nftlb.start("");
  });

  await t.test("tables, rules and routes of the operator", async (t) => {
    const steps = await apply((draft) => {
      draft.routingTables.partner = { description: "", id: 100 };
      draft.routingRules.partner = routingRule.parse({ priority: 29_100, from: "10.50.0.0/24", table: "partner" });
      draft.routingRules.odd = routingRule.parse({
        priority: 29_200,
        mark: { value: 5, mask: 255 },
        interface: "lan0",
        not: true,
        to: "fd99::/16",
        table: "wan2",
      });
      const routes = {
        net: { destination: "198.51.100.0/24", via: "10.2.0.1", mtu: 1400, source: "10.2.0.2", table: "partner" },
        drop: { destination: "192.0.2.0/24", type: "blackhole" },
        six: { destination: "2001:db8:5::/48", via: "fd02::9", interface: "wan2", metric: 50 },
        forbid: { destination: "2001:db8:6::/48", type: "prohibit" },
        far: { destination: "192.0.2.128/25", via: "172.31.0.1", interface: "wan1", onlink: true },
      };
      for (const [name, route] of Object.entries(routes)) draft.routingRoutes[name] = routingRoute.parse(route);
    });
    t.ok(steps.length > 0);
    const routes = (await machine.netlink.routing()).routes.filter(
      ({ protocol, table }) => protocol === 83 && table < 1000,
    );
    t.same(routes.map(routeWords).sort(), [
      "blackhole 192.0.2.0/24 table 254 metric 0",
      "prohibit 2001:db8:6::/48 table 254 metric 1024",
      "unicast 192.0.2.128/25 via 172.31.0.1 dev wan1 table 254 metric 0 onlink",
      "unicast 198.51.100.0/24 via 10.2.0.1 dev wan2 table 100 metric 0 src 10.2.0.2 mtu 1400",
      "unicast 2001:db8:5::/48 via fd02::9 dev wan2 table 254 metric 50",
    ]);
    const rules = (await machine.netlink.routing()).rules.filter(
      ({ priority }) => priority >= 29_000 && priority < 31_000,
    );
    t.same(rules.map(ruleWords), [
      "priority 29100 from 10.50.0.0/24 lookup 100",
      "priority 29200 not from all to fd99::/16 fwmark 0x5/0xff iif lan0 lookup 1002",
    ]);
    const plan = async () =>
      (await routing.plan(control.current().configuration, machine)).map(({ summary }) => summary);
    t.same(await plan(), [], "what was applied is read back the same");
    t.match(await ip("route get 198.51.100.7 from 10.50.0.11 iif lan0"), /via 10\.2\.0\.1 dev wan2/);
    const change = await apply((draft) => {
      if (draft.routingRoutes.net) draft.routingRoutes.net.via = "10.2.0.7";
    });
    t.match(
      change,
      ["add route unicast 198.51.100.0/24 via 10.2.0.7 table 100 metric 0 src 10.2.0.2 mtu 1400"],
      "in one go",
    );
    t.same(await plan(), []);
  });

  await t.test("what others made is shown as unmanaged and left alone; what is ours is put back", async (t) => {
    await ip("route add 100.64.0.0/10 via 10.1.0.9 dev wan1");
    await ip("route add 100.64.0.0/10 via 10.1.0.9 dev wan1 table 100 proto bird");
    await ip("rule add priority 29150 from 100.64.0.0/10 lookup 100");
    await ip("rule delete priority 29100");
    await ip("route flush table 1002");
    await control.reconcile("test");
    const current = control.current().configuration;
    const routes = await readRoutes(machine, current);
    t.same(
      routes.filter(({ origin }) => origin === "unmanaged").map(({ destination, table }) => [destination, table]),
      [
        ["100.64.0.0/10", "partner"],
        ["100.64.0.0/10", "main"],
      ],
    );
    t.match(
      routes.find(({ destination, table }) => destination === "default" && table === "wan2"),
      { origin: "steelyard", via: "10.2.0.1", interface: "wan2" },
    );
    t.match(
      routes.find(({ destination, table }) => destination === "default" && table === "main"),
      { origin: "steelyard" },
    );
    const rules = await readRules(machine, current);
    t.match(
      rules.filter(({ priority }) => priority >= 29_000 && priority < 29_200),
      [
        { priority: 29_100, origin: "steelyard", table: "partner" },
        { priority: 29_150, origin: "unmanaged", table: "partner" },
      ],
    );
    t.same(await connect(world, "10.2.0.2"), ["b1 80 10.50.0.1", "b1 80 10.50.0.1"]);
    const taken = apply((draft) => {
      draft.routingRoutes.taken = routingRoute.parse({ destination: "100.64.0.0/10", via: "10.1.0.1" });
    });
    await t.rejects(taken, {
      code: "apply-failed",
      message: /100\.64\.0\.0\/10[\s\S]*everything was put back|File exists/,
    });
    t.match(await ip("route show 100.64.0.0/10"), /via 10\.1\.0\.9/, "somebody else's route is not replaced");
  });

  await t.test("a lease that brings another gateway and an address that comes are followed at once", async (t) => {
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    await apply((draft) => {
      if (draft.interfaces.wan2) draft.interfaces.wan2.ipv4 = { method: "dhcp", addresses: [], defaultRoute: false };
      draft.farms = {};
      draft.routingRoutes = {};
      draft.routingRules = {};
    });
    const gateway = async () =>
      (await machine.netlink.routing()).routes.find(
        ({ table, destination, family }) => table === 1002 && destination === "default" && family === "ipv4",
      )?.gateway;
    t.equal(await gateway(), undefined);
    const watch = watchNetwork(machine, control, [routing], stop.signal);
    await ip("route add default via 10.2.0.1 dev wan2 proto dhcp metric 65535");
    await until("the lease's gateway", 5_000, async () => (await gateway()) === "10.2.0.1");
    await ip("route replace default via 10.2.0.1 dev wan2 proto dhcp metric 65535 src 10.2.0.2");
    await ip("address add 10.2.0.33/24 dev wan2");
    await until("a rule for the address", 5_000, async () =>
      (await machine.netlink.routing()).rules.some(({ from, table }) => from === "10.2.0.33/32" && table === 1002),
    );
    t.same(
      await connect(world, "10.2.0.33"),
      ["box", "box"].map(() => "ECONNREFUSED"),
    );
    await ip("link set wan2 down");
    await ip("link set wan2 up");
    await ip("route add default via 10.2.0.1 dev wan2 proto dhcp metric 65535");
    await until("the table of a link that returned", 5_000, async () => (await gateway()) === "10.2.0.1");
    stop.abort();
    await watch;
  });

  await t.test(
    "a VRF's routes and rules come, hold and go without a moment in which the box has no addresses",
    async (t) => {
      // The kernel of a build machine may have no VRFs: what the routing adds to one is the same without.
      const rules = async () =>
        (await machine.netlink.routing()).rules
          .filter(({ priority }) => priority < priorities.user.first)
          .map((each) => `${each.protocol} ${ruleWords(each)}`);
      await apply((draft) => Object.assign(draft, { farms: {}, routingRules: {}, routingRoutes: {} }));
      const before = await rules();
      t.same(before, Array(2).fill("2 priority 0 from all lookup 255"));
      const refused = ["box", "box"].map(() => "ECONNREFUSED");
      await apply((draft) => {
        const vrf = { table: 50, members: ["wan2"], destinations: ["10.99.0.0/24", "fd99:1::/64"] };
        draft.interfaces.mgmt = networkInterface.parse({ kind: "vrf", vrf });
      });
      const words = await rules();
      t.notMatch(words.join("\n"), /^2 priority 0 /m, "the kernel's first rule is gone, in both families");
      t.equal(words.filter((each) => each === "83 priority 1010 from all lookup 255").length, 2);
      t.ok(words.includes("83 priority 1500 from 10.2.0.2/32 iif lo lookup 50"));
      t.ok(words.includes("83 priority 1510 from all to fd99:1::/64 iif lo lookup 50"));
      const ends = (await machine.netlink.routing()).routes.filter(({ table }) => table === 50).map(routeWords);
      t.same(
        ends,
        ["ipv4", "ipv6"].map(() => "unreachable default table 50 metric 4278198272"),
      );
      t.match(
        (await run(["nft", "list", "chain", "inet", "steelyard_routing", "guard"])).stdout,
        /ip saddr 10\.99\.0\.0/,
      );
      t.same(await connect(world, "10.1.0.2"), refused, "the box has its addresses all the same");
      await t.rejects(ip("route get 10.99.0.1"), "what is sent to a destination looks in that table, and no further");
      t.match(await ip("-4 route get 10.99.1.1"), /dev wan1/);
      const shown = await readRoutes(machine, control.current().configuration);
      t.match(
        shown.filter(({ type }) => type === "unreachable"),
        Array(2).fill({ table: "mgmt", origin: "steelyard" }),
      );
      const { configuration } = control.current();
      t.same(
        (await routing.plan(configuration, machine)).map(({ summary }) => summary),
        [],
      );
      await ip("rule add priority 0 from all lookup local");
      const repair = await routing.plan(configuration, machine);
      t.match(repair, [{ summary: /^remove rule priority 0 / }]);
      for (const step of repair) await step.execute();
      t.same(await rules(), words, "whoever put it back");
      await apply((draft) => {
        delete draft.interfaces.mgmt;
      });
      t.same(await rules(), before);
      t.same(await connect(world, "10.1.0.2"), refused);
    },
  );

  await t.test("without interfaces nothing of ours is left", async (t) => {
    await apply((draft) => {
      draft.interfaces = {};
      draft.routingTables = {};
    });
    t.same(
      (await machine.netlink.routing()).rules.filter(({ protocol }) => protocol === 83),
      [],
    );
    t.same(
      (await machine.netlink.routing()).routes.filter(({ protocol }) => protocol === 83),
      [],
    );
    t.notMatch((await run(["nft", "list", "tables"])).stdout, /steelyard_routing/);
  });
}

async function listenOnBox(): Promise<{ close(): void }> {
  const { createServer } = await import("node:net");
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end("box\n");
  });
  await new Promise<void>((resolve) => server.listen({ port: 80, host: "::" }, resolve));
  return { close: () => server.close() };
}
