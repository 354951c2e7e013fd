import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { Machine } from "../src/adapters/machine.ts";
import { run } from "../src/adapters/process.ts";
import { makeControl } from "../src/commit/commit.ts";
import type { CommitResult } from "../src/commit/control.ts";
import { defineSubsystem, type StepBase } from "../src/commit/subsystem.ts";
import { type Configuration, emptyConfiguration, farm } from "../src/configuration/schema.ts";
import { openStore } from "../src/configuration/store.ts";
import { firewall } from "../src/firewall/index.ts";
import { l4, readFarmStatuses, watchDataPlane } from "../src/lslb/l4/index.ts";
import { l4Backend } from "../src/lslb/l4/schema.ts";
import { addAddresses, buildLab, enterBox, type Peer, until } from "./lab.ts";
import type { Held } from "./traffic.ts";

/**
 * L4 farms and the base firewall with the real nftlb, the real kernel and real connections. Bounds for random choices are six
 * standard deviations wide, bounds for times generous: what is late on a busy machine is not wrong.
 */
t.setTimeout(600_000);
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const lab = await buildLab([80, 444, 8001, 8002, 8003, 8080], [53, 5353]);
  t.teardown(() => lab.close());
  const { machine, client, nftlb } = lab;
  const { control, apply, set } = await makeBox(machine);

  await t.test("the base firewall answers managers on their interface and nobody else", async (t) => {
    const { steps } = await apply((configuration) => {
      configuration.system.management.interfaces = [];
    });
    t.same(kinds(steps), [], "the image's own table opens nothing: nothing to do");
    const management = await listenOnBox(444);
    t.same(await connect(client, "10.9.1.1", 444, 1), ["timeout"]);
    await apply((configuration) => {
      configuration.system.management.interfaces = ["client0"];
    });
    t.same(await connect(client, "10.9.1.1", 444, 1), ["managed"]);
    t.same(await connect(client, "10.9.1.1", 5555, 1), ["timeout"], "nftlb's own port is closed");
    await apply((configuration) => {
      configuration.system.management.interfaces = ["backends"];
    });
    t.same(await connect(client, "10.9.1.1", 444, 1), ["timeout"]);
    await run(["nft", "flush", "chain", "inet", "steelyard_base", "input"]);
    await control.reconcile("test");
    t.match((await run(["nft", "list", "chain", "inet", "steelyard_base", "input"])).stdout, /@management_interfaces/);
    t.match(
      (await run(["nft", "list", "set", "inet", "steelyard_base", "management_interfaces"])).stdout,
      /"backends"/,
    );
    management.close();
  });

  await t.test("weights share out connections, and nat shows the backend the box's address", async (t) => {
    const { steps } = await set("web", { ports: ["80"], backends: backends({ port: 80 }, 2) });
    t.same(kinds(steps), ["remember-marks", "start-data-plane", "add-farm", "confirm-rules", "end-handover"]);
    const even = tally(await connect(client, "10.9.1.10", 80, 400, 16));
    t.same(Object.keys(even), ["b1 80 10.9.2.1", "b2 80 10.9.2.1"]);
    t.ok(Math.abs((even["b1 80 10.9.2.1"] ?? 0) - 200) <= 60, `1:1 of 400: ${JSON.stringify(even)}`);
    await apply(({ farms }) => {
      if (farms.web?.backends.b1) farms.web.backends.b1.weight = 3;
    });
    const uneven = tally(await connect(client, "10.9.1.10", 80, 400, 16));
    t.ok(Math.abs((uneven["b1 80 10.9.2.1"] ?? 0) - 300) <= 52, `3:1 of 400: ${JSON.stringify(uneven)}`);
  });

  await t.test("the rules are listed again when they were changed, by whomever, and not for packets", async (t) => {
    let lists = 0;
    const counting: Machine = {
      ...machine,
      run: (argv, options) => {
        if (argv.join(" ").includes("list ruleset")) lists++;
        return machine.run(argv, options);
      },
    };
    const look = async () => {
      const before = lists;
      const plans = [];
      for (const each of [l4, firewall]) plans.push(...(await each.plan(control.current().configuration, counting)));
      return { lists: lists - before, steps: plans.map(({ kind }) => kind) };
    };
    await look();
    t.notMatch((await connect(client, "10.9.1.10", 80, 20, 4)).join(), /timeout/);
    t.same(await look(), { lists: 0, steps: [] }, "nothing changed but counters and connections");
    await run(["nft", "add", "table", "ip", "somebody"]);
    t.same(await look(), { lists: 2, steps: [] }, "another's table: asked once for each of the two");
    await run(["nft", "delete", "table", "ip", "somebody"]);
    await run(["nft", "flush", "chain", "inet", "steelyard_base", "forward"]);
    t.same(await look(), { lists: 2, steps: ["load-base-table"] });
    await control.reconcile("test");
    t.same((await look()).steps, []);
  });

  await t.test("round robin is exact, over several virtual addresses too", async (t) => {
    await set("turn", {
      virtualAddresses: ["10.9.1.10", "10.9.1.11"],
      ports: ["8080"],
      algorithm: "round-robin",
      backends: backends({ port: 80 }, 3),
    });
    const answers = [
      ...(await connect(client, "10.9.1.10", 8080, 150)),
      ...(await connect(client, "10.9.1.11", 8080, 150)),
    ];
    t.same(Object.values(tally(answers)), [100, 100, 100]);
    await apply(({ farms }) => {
      if (farms.turn?.backends.b1) farms.turn.backends.b1.weight = 3;
    });
    t.same(tally(await connect(client, "10.9.1.11", 8080, 100)), {
      "b1 80 10.9.2.1": 60,
      "b2 80 10.9.2.1": 20,
      "b3 80 10.9.2.1": 20,
    });
  });

  await t.test("a hash of the source address keeps a client on its backend; with the port it spreads", async (t) => {
    await set("hash", { ports: ["81"], algorithm: "hash-source-address", backends: backends({ port: 80 }, 3) });
    t.equal(Object.keys(tally(await connect(client, "10.9.1.10", 81, 60))).length, 1);
    await set("hash", { ports: ["81"], algorithm: "hash-source-address-port", backends: backends({ port: 80 }, 3) });
    t.equal(Object.keys(tally(await connect(client, "10.9.1.10", 81, 120))).length, 3);
  });

  await t.test("dnat shows the backend the client's address; tcp and udp share an address and a port", async (t) => {
    await set("dns-udp", { protocol: "udp", ports: ["53"], natType: "dnat", backends: backends({ port: 5353 }, 2) });
    await set("dns-tcp", { protocol: "tcp", ports: ["53"], natType: "dnat", backends: backends({ port: 80 }, 2) });
    const datagrams = tally(await send(client, "10.9.1.10", 53, 60));
    t.same(Object.keys(datagrams), ["b1 5353 10.9.1.2", "b2 5353 10.9.1.2"]);
    t.same(Object.keys(tally(await connect(client, "10.9.1.10", 53, 60))), ["b1 80 10.9.1.2", "b2 80 10.9.1.2"]);
    await apply(({ farms }) => {
      if (farms["dns-udp"]) farms["dns-udp"].natType = "nat";
    });
    // A datagram from a port that was used a moment ago still belongs to its old connection, as the client's address shows.
    const fresh = (await send(client, "10.9.1.10", 53, 60)).filter((answer) => !answer.endsWith("10.9.1.2"));
    t.same(Object.keys(tally(fresh)), ["b1 5353 10.9.2.1", "b2 5353 10.9.2.1"]);
  });

  await t.test("IPv6, both kinds of translation, tcp and udp", async (t) => {
    const six = { virtualAddresses: ["fd09:1::10"], backends: backends({}, 2, "fd09:2::1") };
    await set("six", { ...six, ports: ["80"], algorithm: "round-robin" });
    t.same(tally(await connect(client, "fd09:1::10", 80, 20)), { "b1 80 fd09:2::1": 10, "b2 80 fd09:2::1": 10 });
    await set("six", { ...six, ports: ["80"], algorithm: "round-robin", natType: "dnat" });
    t.same(tally(await connect(client, "fd09:1::10", 80, 20)), { "b1 80 fd09:1::2": 10, "b2 80 fd09:1::2": 10 });
    await set("six-udp", { ...six, ports: ["53"], protocol: "udp", algorithm: "round-robin" });
    t.same(tally(await send(client, "fd09:1::10", 53, 20)), { "b1 53 fd09:2::1": 10, "b2 53 fd09:2::1": 10 });
  });

  await t.test("a farm of several ports keeps the port, unless its backends name one", async (t) => {
    await set("range", { ports: ["8001-8002", "8003"], algorithm: "round-robin", backends: backends({}, 2) });
    for (const port of [8001, 8002, 8003])
      t.match(await connect(client, "10.9.1.10", port, 2), [RegExp(` ${port} `), RegExp(` ${port} `)]);
    t.same(await connect(client, "10.9.1.10", 8004, 1), ["timeout"]);
    await set("range", { ports: ["8001-8003"], algorithm: "round-robin", backends: backends({ port: 80 }, 2) });
    t.match(await connect(client, "10.9.1.10", 8003, 2), [/ 80 /, / 80 /]);
  });

  await t.test("maintenance keeps connections and gives no new one; down cuts; nobody else notices", async (t) => {
    await set("state", { ports: ["82"], algorithm: "round-robin", backends: backends({ port: 80 }, 2) });
    await client.ask({ ask: "hold", host: "10.9.1.10", port: 82, count: 8 });
    t.same(await liveBy(client), { b1: 4, b2: 4 });
    await setState("state", "b1", "maintenance");
    t.same(Object.keys(tally(await connect(client, "10.9.1.10", 82, 20))), ["b2 80 10.9.2.1"]);
    t.same(await liveBy(client), { b1: 4, b2: 4 }, "maintenance keeps its own");
    const [status] = await readFarmStatuses(machine, control.current().configuration, ["state"]);
    t.match(status, {
      state: "up",
      backends: [
        { name: "b1", state: "maintenance", effective: "maintenance", connections: 4 },
        { name: "b2", state: "up", effective: "up" },
      ],
    });
    await setState("state", "b1", "up");
    t.same(await liveBy(client), { b1: 4, b2: 4 });
    const { steps } = await setState("state", "b1", "down");
    t.same(kinds(steps), ["set-backend", "confirm-rules", "cut-connections"]);
    t.same(await liveBy(client), { b2: 4 }, "down cuts its own and no other");
    t.same(Object.keys(tally(await connect(client, "10.9.1.10", 82, 20))), ["b2 80 10.9.2.1"]);
    await apply(({ farms }) => {
      if (farms.state) farms.state.backends.b3 = l4Backend.parse({ address: "10.9.2.13", port: 80 });
    });
    t.same(Object.keys(tally(await connect(client, "10.9.1.10", 82, 20))), ["b2 80 10.9.2.1", "b3 80 10.9.2.1"]);
    t.same(await liveBy(client), { b2: 4 }, "a backend more takes nothing from the others");
    await apply(({ farms }) => {
      delete farms.state?.backends.b2;
    });
    t.same(await liveBy(client), {}, "a backend that is removed loses its connections");
    await client.ask({ ask: "release" });
  });

  await t.test(
    "an address that leaves the box is served no more, whatever a neighbour believes, until it is back",
    async (t) => {
      const [four, six] = ["10.9.1.11", "fd09:1::10"];
      const both = { protocol: "udp", ports: ["54"], algorithm: "round-robin" };
      await set("leaves", { virtualAddresses: [four], ports: ["84"], backends: backends({ port: 80 }, 2) });
      await set("leaves-udp", { ...both, virtualAddresses: [four], backends: backends({ port: 53 }, 2) });
      await set("leaves-six", { ...both, virtualAddresses: [six], backends: backends({ port: 53 }, 2, "fd09:2::1") });
      const mac = (await machine.netlink.links()).find(({ name }) => name === "client0")?.mac ?? "";
      // A neighbour that has not heard that the address has gone.
      for (const each of [four, six])
        await run([
          ...["nsenter", `--net=/proc/${client.pid}/ns/net`, "ip", "neigh", "replace", each],
          ...["lladdr", mac, "dev", "eth0", "nud", "permanent"],
        ] as unknown as [string, ...string[]]);
      await client.ask({ ask: "hold", host: four, port: 84, count: 2 });
      const live = async () => Object.values(await liveBy(client)).reduce((sum, count) => sum + count, 0);
      const answers = async () => [
        ...(await connect(client, four, 84, 1)),
        ...(await send(client, four, 54, 1)),
        ...(await send(client, six, 54, 1)),
      ];
      t.match(await answers(), [/^b\d 80 /, /^b\d 53 /, /^b\d 53 /]);
      t.equal(await live(), 2);
      for (const each of [`${four}/32`, `${six}/128`]) await run(["ip", "address", "del", each, "dev", "client0"]);
      t.same(await answers(), ["timeout", "timeout", "timeout"], "new ones");
      t.equal(await live(), 0, "old ones");
      t.match(await connect(client, "10.9.1.10", 80, 1), [/^b\d 80 /], "an address that is here is served");
      await addAddresses("client0", [`${four}/32`, `${six}/128`]);
      t.match(await answers(), [/^b\d 80 /, /^b\d 53 /, /^b\d 53 /]);
      // Connections were left as they are: their ends try again, in ever longer intervals.
      await until("the old ones", 30_000, async () => (await live()) === 2);
      await client.ask({ ask: "release" });
    },
  );

  await t.test("a backend of a later priority stands by", async (t) => {
    const two = backends({ port: 80 }, 2);
    await set("spare", { ports: ["83"], backends: { b1: two.b1, b2: { ...two.b2, priority: 2 } } });
    t.same(Object.keys(tally(await connect(client, "10.9.1.10", 83, 20))), ["b1 80 10.9.2.1"]);
    const states = async () =>
      (await readFarmStatuses(machine, control.current().configuration, ["spare"]))[0]?.backends.map(
        (each) => each.effective,
      );
    t.same(await states(), ["up", "standby"]);
    await setState("spare", "b1", "down");
    t.same(Object.keys(tally(await connect(client, "10.9.1.10", 83, 20))), ["b2 80 10.9.2.1"]);
    t.same(await states(), ["down", "up"]);
  });

  await t.test(
    "a port that is given up, and a farm that is deleted, are free and lose their connections",
    async (t) => {
      await set("gone", { ports: ["84", "85"], algorithm: "round-robin", backends: backends({ port: 80 }, 2) });
      await client.ask({ ask: "hold", host: "10.9.1.10", port: 84, count: 2 });
      await client.ask({ ask: "hold", host: "10.9.1.10", port: 85, count: 2 });
      await set("gone", { ports: ["85"], algorithm: "round-robin", backends: backends({ port: 80 }, 2) });
      t.same(await liveBy(client), { b1: 1, b2: 1 });
      t.same(await connect(client, "10.9.1.10", 84, 1), ["timeout"]);
      await apply(({ farms }) => {
        delete farms.gone;
      });
      t.same(await liveBy(client), {});
      t.same(await connect(client, "10.9.1.10", 85, 1), ["timeout"]);
      t.notMatch((await run(["nft", "list", "table", "ip", "nftlb"])).stdout, /gone/, "not a chain is left");
      await client.ask({ ask: "release" });
      await set("heir", { ports: ["85"], backends: pick(backends({ port: 80 }, 3), "b3") });
      t.same(Object.keys(tally(await connect(client, "10.9.1.10", 85, 5))), ["b3 80 10.9.2.1"]);
    },
  );

  await t.test("kill -9 of nftlb under load loses no connection, and it is fed again", async (t) => {
    const watching = new AbortController();
    const watch = watchDataPlane(machine, control, {
      subsystems: [firewall, l4],
      signal: watching.signal,
      interval: 300,
      comparison: 1_000,
    });
    for (const [host, port] of [
      ["10.9.1.10", 80],
      ["fd09:1::10", 80],
      ["10.9.1.10", 53],
    ] as const)
      await client.ask({ ask: "hold", host, port, count: 20 });
    const before = await liveBy(client);
    t.equal(
      Object.values(before).reduce((sum, count) => sum + count, 0),
      60,
    );
    const fed = async () => (await l4.plan(control.current().configuration, machine)).length === 0;
    for (let round = 0; round < 2; round++) {
      const starts = nftlb.starts();
      const answers = await connectThrough(client, async () => {
        nftlb.kill();
        await until("nftlb is started again", 10_000, async () => nftlb.starts() > starts);
        await until("nftlb is fed again", 20_000, fed);
      });
      t.same(backendsOf(answers), ["b1", "b2"], `${answers.length} new connections meanwhile, none failed or waited`);
      t.notOk(await standsIn(), "the copy of the rules is gone");
    }
    t.same(await liveBy(client), before, "every connection that was held is alive");
    const [status] = await readFarmStatuses(machine, control.current().configuration, ["six"]);
    t.equal(
      status?.backends.reduce((sum, { connections }) => sum + connections, 0),
      20,
      "and known to its backend",
    );

    await run(["nft", "delete", "table", "ip", "nftlb"]);
    await run(["nft", "flush", "chain", "inet", "steelyard_base", "forward"]);
    await until("drift is repaired", 20_000, async () => {
      const plans = await Promise.all(
        [l4, firewall].map((each) => each.plan(control.current().configuration, machine)),
      );
      return plans.flat().length === 0;
    });
    t.notMatch((await connect(client, "10.9.1.10", 80, 20, 4)).join(), /timeout/);
    t.same(await liveBy(client), before, "the repair cuts nothing");
    watching.abort();
    await watch;
    await client.ask({ ask: "release" });
  });

  await t.test("nftlb is started anew where it must, and nobody notices", async (t) => {
    await client.ask({ ask: "hold", host: "fd09:1::10", port: 80, count: 10 });
    const starts = nftlb.starts();
    const answers = await connectThrough(client, async () => {
      const { steps } = await apply(({ farms }) => {
        delete farms["six-udp"];
      });
      t.match(kinds(steps), ["remember-marks", "start-data-plane"]);
    });
    t.ok(nftlb.starts() > starts);
    t.same(backendsOf(answers), ["b1", "b2"]);
    t.equal(
      Object.values(await liveBy(client)).reduce((sum, count) => sum + count, 0),
      10,
    );
    t.notOk(await standsIn(), "the copy of the rules is gone");
    await client.ask({ ask: "release" });
  });

  await t.test("an nftlb that dies again before it is fed leaves the copy of the rules as it is", async (t) => {
    for (let round = 0; round < 2; round++) {
      const starts = nftlb.starts();
      nftlb.kill();
      await until("nftlb is started again", 10_000, async () => nftlb.starts() > starts);
      await until("nftlb has deleted its tables", 10_000, async () => !(await listTables()).includes("ip nftlb\n"));
      t.ok(await standsIn());
      t.same(backendsOf(await connect(client, "10.9.1.10", 80, 20, 4)), ["b1", "b2"]);
    }
    await control.reconcile("test");
    t.notOk(await standsIn());
    t.same(backendsOf(await connect(client, "10.9.1.10", 80, 20, 4)), ["b1", "b2"]);
  });

  await t.test("what nft refuses is found although nftlb says success, and undone", async (t) => {
    const before = control.current().generation;
    // Another owner's chain of the same name as one nftlb will want: its rules come on top of what stands there.
    await run(["nft", "add", "chain", "ip", "nftlb", "filter-odd"]);
    await run([
      "nft",
      "add",
      "rule",
      "ip",
      "nftlb",
      "filter-odd",
      "ct",
      "mark",
      "set",
      "numgen",
      "inc",
      "mod",
      "1",
      "map",
      "{ 0 : 0x7 }",
    ]);
    await t.rejects(set("odd", { ports: ["86"], backends: backends({ port: 80 }, 2) }), {
      code: "apply-failed",
      message: /farm odd: choice.*everything was put back/,
    });
    t.equal(control.current().generation, before);
    t.same(await l4.plan(control.current().configuration, machine), []);
    t.same(await connect(client, "10.9.1.10", 86, 1), ["timeout"]);
    t.match(await connect(client, "10.9.1.10", 80, 1), [/b\d 80/]);
    await set("odd", { ports: ["86"], backends: backends({ port: 80 }, 2) });
    t.match(await connect(client, "10.9.1.10", 86, 1), [/b\d 80/]);
  });

  await t.test("any configuration can follow any other", async (t) => {
    await set("keep", { ports: ["80"], virtualAddresses: ["10.9.1.11"], backends: backends({ port: 80 }, 2) });
    await client.ask({ ask: "hold", host: "10.9.1.11", port: 80, count: 10 });
    const random = seededRandom(20_26);
    for (let round = 0; round < 40; round++) {
      await apply((configuration) => {
        const { keep } = configuration.farms;
        configuration.farms = { ...(keep ? { keep } : {}), ...inventFarms(random) };
      });
      t.same(await l4.plan(control.current().configuration, machine), [], `round ${round} has come true`, {
        skip: false,
      });
      if (round % 20 === 10) {
        const starts = nftlb.starts();
        nftlb.kill();
        await until("nftlb is started again", 10_000, async () => nftlb.starts() > starts);
      }
    }
    t.equal(
      Object.values(await liveBy(client)).reduce((sum, count) => sum + count, 0),
      10,
      "and those who stay notice nothing",
    );
    await client.ask({ ask: "release" });
  });

  async function setState(name: string, backend: string, state: "up" | "maintenance" | "down"): Promise<CommitResult> {
    return await apply(({ farms }) => {
      const found = farms[name]?.backends[backend];
      if (found) found.state = state;
    });
  }
}

/** A configuration and its commits, as the API makes them, with the box's addresses in place. */
async function makeBox(machine: Machine) {
  const network = defineSubsystem<null, StepBase & { kind: "none" }>({
    name: "network",
    dependsOn: [],
    verify: () => [],
    render: () => null,
    observe: async () => null,
    plan: () => [],
    executors: { none: async () => {} },
  });
  const store = await openStore(machine.path("/config"), machine.log);
  const control = makeControl(store, [network, firewall, l4], machine);
  const author = { user: "admin", source: "local" };
  const apply = async (edit: (configuration: Configuration) => void): Promise<CommitResult> =>
    await control.commit({
      author,
      message: "test",
      change: (current) => {
        const next = structuredClone(current);
        edit(next);
        return next;
      },
    });
  const set = async (name: string, object: Record<string, unknown>) =>
    await apply(({ farms }) => {
      farms[name] = farm.parse({ profile: "l4xnat", virtualAddresses: ["10.9.1.10"], ...object });
    });
  await control.commit({
    author,
    message: "addresses",
    change: () => ({
      ...emptyConfiguration(),
      virtualAddresses: Object.fromEntries(
        ["10.9.1.10/32", "10.9.1.11/32", "fd09:1::10/128"].map((address, at) => [
          `v${at}`,
          { description: "", enabled: true, interface: "client0", address },
        ]),
      ),
    }),
  });
  return { control, apply, set };
}

async function listenOnBox(port: number): Promise<{ close(): void }> {
  const { createServer } = await import("node:net");
  const server = createServer((socket) => socket.end("managed\n"));
  await new Promise<void>((resolve) => server.listen({ port, host: "::" }, resolve));
  return server;
}

function backends(each: Record<string, unknown>, count: number, prefix = "10.9.2.1"): Record<string, object> {
  const numbers = Array.from({ length: count }, (_, at) => at + 1);
  return Object.fromEntries(numbers.map((number) => [`b${number}`, { address: `${prefix}${number}`, ...each }]));
}

function pick<Value>(record: Record<string, Value>, key: string): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).filter(([each]) => each === key));
}

async function connect(client: Peer, host: string, port: number, count: number, at = 1): Promise<string[]> {
  return await client.ask({ ask: "connect", host, port, count, at });
}

/**
 * Opens connections one after the other, four at once, over IPv4 and IPv6, while something happens. Their patience is less than
 * the second after which a client sends its first packet again: one lost packet shows.
 */
async function connectThrough(client: Peer, mishap: () => Promise<void>): Promise<string[]> {
  const answers: string[] = [];
  let over = false;
  const load = (async () => {
    while (!over)
      for (const host of ["10.9.1.10", "fd09:1::10"])
        answers.push(
          ...(await client.ask<string[]>({ ask: "connect", host, port: 80, count: 20, at: 4, patience: 900 })),
        );
  })();
  try {
    await mishap();
  } finally {
    over = true;
    await load;
  }
  return answers;
}

/** The backends that answered, and what went wrong, each once. */
function backendsOf(answers: readonly string[]): string[] {
  return Object.keys(tally(answers.map((answer) => answer.split(" ")[0] ?? "")));
}

async function listTables(): Promise<string> {
  return (await run(["nft", "list", "tables"])).stdout;
}

/** Whether a copy of nftlb's rules is there. */
async function standsIn(): Promise<boolean> {
  return (await listTables()).includes("steelyard_handover");
}

async function send(client: Peer, host: string, port: number, count: number): Promise<string[]> {
  return await client.ask({ ask: "send", host, port, count });
}

/** How often each answer came, in the order of the answers. */
function tally(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of [...answers].sort()) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

/** Held connections that are answered now, by backend. A heartbeat is 50 ms; half a minute of silence would be needed for luck. */
async function liveBy(client: Peer): Promise<Record<string, number>> {
  await sleep(1_000);
  const held = await client.ask<Held[]>({ ask: "held", within: 800 });
  return tally(held.filter(({ alive }) => alive).map(({ greeting }) => greeting.split(" ")[0] ?? ""));
}

function kinds(steps: CommitResult["steps"]): string[] {
  return steps.filter(({ subsystem }) => subsystem === "l4").map(({ kind }) => kind);
}

/** A generator of the linear congruential kind: the same farms in every run (numbers from Numerical Recipes). */
function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function inventFarms(random: (below: number) => number): Configuration["farms"] {
  const farms: Configuration["farms"] = {};
  const oneOf = <Value>(values: readonly Value[]) => values[random(values.length)] as Value;
  for (const name of ["f1", "f2", "f3", "f4", "f5"]) {
    if (random(4) === 0) continue;
    const six = name === "f4" || name === "f5";
    const base = 1_000 + Number(name[1]) * 100;
    const list = Array.from({ length: random(5) }, (_, at) => [
      `b${at + 1}`,
      {
        address: `${six ? "fd09:2::1" : "10.9.2.1"}${1 + ((at + random(2)) % 8)}`,
        port: 1_000 + at,
        weight: 1 + random(4),
        priority: 1 + random(3),
        state: oneOf(["up", "up", "maintenance", "down"]),
      },
    ]);
    const withPort = random(2) === 0;
    farms[name] = farm.parse({
      profile: "l4xnat",
      enabled: random(6) > 0,
      virtualAddresses: six ? ["fd09:1::10"] : oneOf([["10.9.1.10"], ["10.9.1.11"], ["10.9.1.10", "10.9.1.11"]]),
      ports: oneOf([[String(base)], [`${base}-${base + 3}`], [String(base), `${base + 2}-${base + 4}`]]),
      protocol: oneOf(["tcp", "udp"]),
      natType: oneOf(["nat", "dnat"]),
      algorithm: oneOf(["weight", "round-robin", "hash-source-address", "hash-source-address-port"]),
      backends: Object.fromEntries(
        withPort ? list : dropDuplicates(list.map(([key, value]) => [key, { ...(value as object), port: undefined }])),
      ),
    });
  }
  return farms;
}

function dropDuplicates(list: unknown[][]): [string, object][] {
  const seen = new Set<string>();
  return (list as [string, { address: string }][]).filter(([, { address }]) => {
    const fresh = !seen.has(address);
    seen.add(address);
    return fresh;
  });
}
