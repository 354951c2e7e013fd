import { connect as open } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import t from "tap";
import { run } from "../src/adapters/process.ts";
import { farm } from "../src/configuration/schema.ts";
import { dslb, makeUplinksWatch, readUplinkStatuses } from "../src/dslb/index.ts";
import { uplinkFarm } from "../src/dslb/schema.ts";
import { l4 } from "../src/lslb/l4/index.ts";
import { routing } from "../src/routing/index.ts";
import { enterBox, until } from "./lab.ts";
import type { Held } from "./traffic.ts";
import { buildUplinksLab, labConfiguration } from "./uplinks-lab.ts";

/**
 * Farms of uplinks with real routers and real connections. Bounds for random choices are six standard deviations wide; the time
 * in which new connections move after a verdict is told, and its bound is generous, for what is late on a busy machine is not wrong.
 */
t.setTimeout(300_000);
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const lab = await buildUplinksLab(() => [routing, dslb, l4]);
  t.teardown(() => lab.close());
  const { machine, control, apply, world, lan, inside, lines } = lab;
  const watch = makeUplinksWatch(machine, control, dslb);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  await run(["ip", "route", "add", "default", "via", "10.1.0.1", "dev", "wan1", "proto", "static"]);
  await run(["ip", "-6", "route", "add", "default", "via", "fd01::1", "dev", "wan1", "proto", "static"]);

  const target = "203.0.113.2";
  const connect = async (count: number, host = target, port = 8080) =>
    await lan.ask<string[]>({ ask: "connect", host, port, count, at: 8, patience: 1_500 });
  /** How many connections the world saw from each address. */
  const tally = (answers: readonly string[]) => {
    const counts: Record<string, number> = {};
    for (const answer of answers) {
      const from = answer.split(" ").at(-1) ?? answer;
      counts[from] = (counts[from] ?? 0) + 1;
    }
    return counts;
  };
  const [one, two] = ["10.1.0.2", "10.2.0.2"] as const;
  const statusOf = async (name: string) => {
    const [status] = await readUplinkStatuses(machine, control.current().configuration);
    return status?.uplinks.find((each) => each.name === name);
  };
  const settled = async () =>
    (await Promise.all([routing, dslb].map((each) => each.plan(control.current().configuration, machine))))
      .flat()
      .map(({ summary }) => summary);
  const set = async (change: object) =>
    await apply((draft) => {
      draft.uplinkFarms.isp = uplinkFarm.parse({ ...draft.uplinkFarms.isp, ...change });
    });
  /** Puts a router's far link back, with what went with it. */
  const mend = async (number: 1 | 2) => {
    const router = `router${number}` as const;
    await inside(router, "link set far up");
    await inside(router, `route replace 203.0.113.2 via 10.1${number}.0.2`);
    await inside(router, `address replace fd1${number}::1/64 dev far nodad`);
    await inside(router, `-6 route replace 2001:db8:113::2 via fd1${number}::2`);
    // The other end lost its routes with its carrier.
    await inside("world", `route replace 10.${number}.0.0/24 via 10.1${number}.0.1`);
    await inside("world", `-6 route replace fd0${number}::/64 via fd1${number}::1`);
  };
  const uplinks = {
    a: { interface: "wan1", gateway: "10.1.0.1", weight: 3 },
    b: { interface: "wan2", gateway: "10.2.0.1" },
  };

  await t.test("weights share out connections over uplinks, each behind its own address", async (t) => {
    await apply((draft) => {
      draft.interfaces = labConfiguration().interfaces;
    });
    t.same(tally(await connect(2)), { timeout: 2 }, "the box is no router for strangers");
    await set({ interfaces: ["lan0"], uplinks });
    const seen = tally(await connect(400));
    t.same(Object.keys(seen).sort(), [one, two]);
    t.ok(Math.abs((seen[one] ?? 0) - 300) <= 52, `3:1 of 400: ${JSON.stringify(seen)}`);
    t.same(await settled(), [], "what was applied is read back the same");
    t.match(await statusOf("a"), { state: "used", failures: [] });
    const a = await statusOf("a");
    t.ok(
      (a?.sentBytes ?? 0) > 1_000 && (a?.receivedBytes ?? 0) > 1_000 && (a?.connections ?? 0) > 0,
      JSON.stringify(a),
    );
  });

  await t.test("nothing but an uplink is open to the hosts inside, and nothing comes in by one", async (t) => {
    await run(["ip", "link", "add", "dmz0", "type", "veth", "peer", "name", "dmz1"]);
    await run(["ip", "address", "add", "10.60.0.1/24", "dev", "dmz0"]);
    for (const name of ["dmz0", "dmz1"]) await run(["ip", "link", "set", name, "up"]);
    await run(["nft", "add", "table", "inet", "spy"]);
    await run(["nft", "add", "chain", "inet", "spy", "out", "{ type filter hook postrouting priority 300; }"]);
    await run([
      "nft",
      "add",
      "rule",
      "inet",
      "spy",
      "out",
      "oifname",
      "dmz0",
      "ip",
      "saddr",
      "10.50.0.0/24",
      "counter",
    ]);
    t.same(tally(await connect(1, "10.60.0.9")), { timeout: 1 });
    t.match(
      (await run(["nft", "list", "table", "inet", "spy"])).stdout,
      /counter packets 0/,
      "no packet passed to another network",
    );
    await run(["nft", "delete", "table", "inet", "spy"]);
    await run(["ip", "link", "delete", "dmz0"]);
    await inside("world", "route add 10.50.0.0/24 via 10.11.0.1");
    await inside("router1", "route add 10.50.0.0/24 via 10.1.0.2");
    t.same(await world.ask({ ask: "connect", host: "10.50.0.12", port: 80, count: 1, patience: 700 }), ["timeout"]);
    await set({ sources: ["10.50.0.12/32"] });
    t.same(tally(await connect(1)), { timeout: 1 }, "a host that is no source");
    await set({ sources: ["10.50.0.0/24"] });
    t.same(Object.keys(tally(await connect(40))).sort(), [one, two]);
  });

  await t.test("a connection stays on its uplink, whatever becomes of the weights", async (t) => {
    await lan.ask({ ask: "hold", host: target, port: 8080, count: 24 });
    const before = tally((await lan.ask<Held[]>({ ask: "held", within: 5_000 })).map(({ greeting }) => greeting));
    t.same(Object.keys(before).sort(), [one, two]);
    await set({ uplinks: { ...uplinks, b: { ...uplinks.b, weight: 200 } } });
    await set({ uplinks: { ...uplinks, a: { ...uplinks.a, state: "maintenance" } } });
    t.same(Object.keys(tally(await connect(30))), [two], "maintenance gets no new connection");
    const held = await lan.ask<Held[]>({ ask: "held", within: 2_000 });
    t.ok(
      held.every(({ alive }) => alive),
      "and keeps those it has",
    );
    await set({ uplinks });
    await lan.ask({ ask: "release" });
  });

  await t.test(
    "a gateway that is alive with nothing beyond it is found, its connections are cut, and it returns",
    async (t) => {
      await set({
        probes: { far: { type: "tcp", address: target, port: 80 }, echo: { type: "icmp", address: target } },
        ...{ need: "all", interval: 0.4, timeout: 0.35, rise: 2, fall: 3 },
      });
      const running = watch.run(stop.signal);
      await until("a first round", 10_000, async () => (await statusOf("b"))?.since !== undefined);
      t.match(
        [await statusOf("a"), await statusOf("b")],
        [
          { state: "used", failures: [] },
          { state: "used", failures: [] },
        ],
      );
      await lan.ask({ ask: "hold", host: target, port: 8080, count: 24 });
      lines.length = 0;
      await inside("router1", "link set far down");
      await until("a verdict", 20_000, async () => lines.some(({ text }) => text.startsWith("uplink isp/a is down")));
      const verdict = lines.find(({ text }) => text.startsWith("uplink isp/a is down"))?.time ?? 0;
      for (;;) {
        const answers = await connect(8);
        if (Object.keys(tally(answers)).join() === two) break;
        if (performance.now() - verdict > 15_000) break;
      }
      const moved = performance.now();
      const timeOf = (words: string) => lines.find(({ text }) => text.startsWith(words))?.time;
      await until("the cut", 10_000, async () => timeOf("cut the connections of uplink isp/a") !== undefined);
      const replaced = (timeOf("uplinks: isp/a dead") ?? Number.NaN) - verdict;
      const cut = (timeOf("cut the connections of uplink isp/a") ?? Number.NaN) - verdict;
      t.comment(
        `after the verdict: group replaced in ${Math.round(replaced)} ms, connections cut in ${Math.round(cut)} ms, 8 new ones all moved by ${Math.round(moved - verdict)} ms`,
      );
      t.ok(replaced < 3_000, "new connections move at once");
      t.same(tally(await connect(40)), { [two]: 40 });
      t.match(await statusOf("a"), { state: "dead", connections: 0, failures: [/far: /, /echo: no echo reply/] });
      await sleep(1_500);
      const held = await lan.ask<Held[]>({ ask: "held", within: 1_000 });
      t.ok(
        held.filter(({ greeting }) => greeting.endsWith(two)).every(({ alive }) => alive),
        "those of the other uplink go on",
      );
      t.ok(
        held.filter(({ greeting }) => greeting.endsWith(one)).every(({ alive }) => !alive),
        "its own are cut",
      );
      t.same(await settled(), [], "the watch of the data plane agrees with the verdict");
      await lan.ask({ ask: "release" });
      await mend(1);
      await until("its return", 20_000, async () => (await statusOf("a"))?.state === "used");
      t.same(Object.keys(tally(await connect(60))).sort(), [one, two]);
      void running;
    },
  );

  await t.test("an uplink returns by hand where the farm says so", async (t) => {
    await set({ return: "manually" });
    t.notOk(await watch.giveBack("isp", "b"), "it does not wait");
    await inside("router2", "link set far down");
    await until("a verdict", 20_000, async () => (await statusOf("b"))?.state === "dead");
    await mend(2);
    await until("it to wait", 20_000, async () => (await statusOf("b"))?.state === "waiting");
    t.same(tally(await connect(20)), { [one]: 20 });
    t.ok(await watch.giveBack("isp", "b"));
    t.match(await statusOf("b"), { state: "used" });
    t.same(Object.keys(tally(await connect(60))).sort(), [one, two]);
  });

  await t.test(
    "when nothing answers on any uplink, all are used: the probes' target may be what is down",
    async (t) => {
      await lan.ask({ ask: "hold", host: target, port: 8080, count: 24 });
      const before = lines.length;
      await set({ return: "immediately", probes: { far: { type: "tcp", address: target, port: 9 } } });
      let last = "";
      let verdicts: typeof lines = [];
      t.teardown(() => t.passing() || t.comment(last, lines.slice(-5)));
      await until("both verdicts", 60_000, async () => {
        const [status] = await readUplinkStatuses(machine, control.current().configuration);
        last = JSON.stringify(status?.uplinks);
        // A probe that failed once is no verdict, and between the two verdicts the other one alone is used.
        verdicts = lines.slice(before).filter(({ text }) => /^uplink isp\/[ab] is down/.test(text));
        if (verdicts.length < 2 || !status?.uplinks.every(({ state }) => state === "used")) return false;
        return (await settled()).length === 0;
      });
      t.same(Object.keys(tally(await connect(60))).sort(), [one, two]);
      const kept = verdicts[1]?.text.startsWith("uplink isp/a") ? one : two;
      const held = await lan.ask<Held[]>({ ask: "held", within: 2_000 });
      t.ok(
        held.filter(({ greeting }) => greeting.endsWith(kept)).every(({ alive }) => alive),
        "the last one to fail is used all the same, and keeps its connections",
      );
      await lan.ask({ ask: "release" });
      await set({ probes: {} });
      stop.abort();
    },
  );

  await t.test("sources, destinations and the answers of farms are tied to an uplink", async (t) => {
    await set({ ties: [{ destination: "203.0.113.0/24", uplink: "b" }] });
    t.same(tally(await connect(20)), { [two]: 20 });
    await set({ ties: [{ source: "10.50.0.11/32", uplink: "a", otherwise: "drop" }] });
    t.same(tally(await connect(20)), { [one]: 20 });
    await set({ uplinks: { ...uplinks, a: { ...uplinks.a, state: "maintenance" } } });
    t.same(tally(await connect(2)), { timeout: 2 }, "drop: rather none than another");
    await set({ ties: [{ source: "10.50.0.11/32", uplink: "a" }] });
    t.same(tally(await connect(10)), { [two]: 10 }, "balance: another rather than none");
    await set({ uplinks, ties: [] });
  });

  await t.test("priority uses the best uplink there is", async (t) => {
    const both = { a: { ...uplinks.a, priority: 2 }, b: uplinks.b };
    await set({ algorithm: "priority", uplinks: both });
    t.same(tally(await connect(20)), { [two]: 20 });
    t.match([await statusOf("a"), await statusOf("b")], [{ state: "standby" }, { state: "used" }]);
    await set({ uplinks: { ...both, b: { ...uplinks.b, state: "down" } } });
    t.same(tally(await connect(20)), { [one]: 20 });
    await set({ algorithm: "weight", uplinks });
  });

  await t.test("a farm keeps its clients' way beside the uplinks", async (t) => {
    await apply((draft) => {
      for (const [name, address] of [
        ["first", one],
        ["second", two],
      ] as const)
        draft.farms[name] = farm.parse({
          profile: "l4xnat",
          virtualAddresses: [address],
          ports: ["80"],
          natType: "dnat",
          backends: { b1: { address: "10.50.0.12" } },
        });
    });
    for (const [host, client] of [
      [one, "10.11.0.2"],
      [two, "10.12.0.2"],
    ] as const)
      t.same(
        await world.ask({ ask: "connect", host, port: 80, count: 10, patience: 1_500 }),
        Array(10).fill(`b1 80 ${client}`),
      );
    t.same(Object.keys(tally(await connect(60))).sort(), [one, two]);
    const { stdout } = await run(["conntrack", "-L", "-p", "tcp", "--orig-src", "10.50.0.11"]);
    t.notMatch(stdout, /mark=[1-9]/, "nftlb took none of our marks over");
  });

  await t.test("IPv6 with prefix translation: each host keeps its part of the address", async (t) => {
    await inside("router1", "-6 route add 2001:db8:50::/64 via fd01::2");
    await inside("world", "-6 route add 2001:db8:50::/64 via fd11::1");
    const prefix = { inside: "fd50::/64", outside: "2001:db8:50::/64" };
    await set({
      sources: [],
      uplinks: { ...uplinks, six: { interface: "wan1", gateway: "fd01::1", translation: "prefix", prefix } },
    });
    t.same(tally(await connect(6, "2001:db8:113::2")), { "2001:db8:50::11": 6 });
    await set({ uplinks: { ...uplinks, six: { interface: "wan2", gateway: "fd02::1" } } });
    t.same(tally(await connect(6, "2001:db8:113::2")), { "fd02::2": 6 });
    t.same(Object.keys(tally(await connect(60))).sort(), [one, two]);
  });

  await t.test("what the box itself sends takes the uplinks when it is told so", async (t) => {
    // The kernel shares these out by destination: where a mark changes the way, its hash has no ports.
    const targets = Array.from({ length: 60 }, (_, at) => `203.0.113.${at + 10}`);
    await inside("world", "address add 203.0.113.1/24 dev lo");
    for (const number of [1, 2])
      await inside(`router${number as 1 | 2}`, `route add 203.0.113.0/24 via 10.1${number}.0.2`);
    const greet = async (host: string) =>
      await new Promise<string>((resolve) => {
        const socket = open({ host, port: 8080 });
        socket.setTimeout(3_000, () => socket.destroy(new Error("timeout")));
        socket.on("error", ({ message }) => resolve(message));
        socket.on("data", (data) => {
          socket.destroy();
          resolve(String(data).trim());
        });
      });
    const send = async () => tally(await Promise.all(targets.map(greet)));
    t.same(await send(), { [one]: targets.length }, "the default gateway");
    await set({ box: true });
    t.same(Object.keys(await send()).sort(), [one, two]);
    await set({ ties: [{ destination: "203.0.113.0/24", uplink: "b" }] });
    t.same(await send(), { [two]: targets.length }, "ties hold for the box as well");
    await set({ ties: [] });
  });

  await t.test("without the farm nothing of it is left", async (t) => {
    await apply((draft) => {
      draft.uplinkFarms = {};
    });
    const { nexthops, routes, rules } = await machine.netlink.routing();
    const left = [...nexthops, ...routes, ...rules];
    t.same(
      left.filter(({ protocol }) => protocol === 84),
      [],
    );
    t.notMatch((await run(["nft", "list", "tables"])).stdout, /steelyard_uplink/);
    t.same(tally(await connect(1)), { timeout: 1 });
  });
}
