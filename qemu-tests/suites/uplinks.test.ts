import type { Test } from "tap";
import type { Box } from "../src/box/box.ts";
import { bootOnce, crossedSetup, putInterface } from "../src/box/crossed.ts";
import { makeFarm } from "../src/box/farms.ts";
import { inNamespace } from "../src/lab/namespaces.ts";
import { back, backendPorts, front, inside } from "../src/lab/plan.ts";
import { type UplinkName, uplinks, world } from "../src/lab/uplinks.ts";
import { report } from "../src/progress.ts";
import { runCommand } from "../src/run-command.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { startServers } from "../src/traffic/backends.ts";
import { askHttp, askMany, type Tally } from "../src/traffic/clients.ts";
import { HeldConnections } from "../src/traffic/held-connections.ts";
import { lastFailure, watchConnections } from "../src/traffic/new-connections.ts";
import { isWithinBound } from "../src/traffic/statistics.ts";
import { sleep, waitFor } from "../src/wait.ts";

const { fibre, cable } = uplinks;

/** Seconds between two rounds of probes, how long a target is given, and rounds in a row until an uplink is dead. */
const probing = { interval: 1, timeout: 0.8, rise: 2, fall: 3 } as const;

/** Milliseconds from the verdict, or from the loss of the link, to new connections that work. */
const failoverTime = 1_000;

/** Two ways to the world, through routers of the lab: answers go back where they came from, and connections are shared out. */
export const uplinksSuite: Suite = {
  name: "uplinks",
  machine: "crossed",
  setup: crossedSetup,
  run: async (context) => {
    const { box, lab } = context;
    await bootOnce(box);
    const servers = await startServers(lab, ["world"]);
    await runCommand(["ip", "route", "add", world, "via", front.box.ipv4]);
    try {
      await checkSymmetry(context);
      await checkWeights(context);
      await checkDeath(context);
      await checkReturn(context);
      await checkCut(context);
    } finally {
      await runCommand(["ip", "route", "delete", world]);
      servers.stop();
      await removeAll(box);
    }
  },
};

const onUplink = (name: UplinkName, more: object) => ({
  ipv4: { method: "static", addresses: [`${uplinks[name].box}/${uplinks[name].prefix.ipv4}`], ...more },
});

/** Whether a host in the world gets an answer from a farm, and the address that its server saw the question come from. */
async function askFromWorld({ lab, box }: SuiteContext, address: string): Promise<string | undefined> {
  const seconds = String(Math.ceil(box.machine.scale(1_000) / 1_000));
  const { stdout } = await runCommand(
    inNamespace(lab.id, "world", ["curl", "--silent", "--max-time", seconds, `http://${address}/`]),
    { accept: [0, 28] },
  );
  return stdout === "" ? undefined : (JSON.parse(stdout) as { peer: string }).peer;
}

async function checkSymmetry(context: SuiteContext): Promise<void> {
  const { box, lab, check } = context;
  const { api, machine } = box;
  await check("an answer leaves by the uplink that its question came in by, whoever gives it", async (t) => {
    await putInterface(box, fibre.card, onUplink("fibre", { gateway: fibre.gateway.ipv4 }));
    await putInterface(box, cable.card, onUplink("cable", {}));
    for (const { card, virtual, prefix } of [fibre, cable]) {
      const body = { name: card, interface: card, address: `${virtual}/${prefix.ipv4}` };
      await api.expect(201, "POST", "/network/virtual-addresses?confirmWithin=0", { body, timeout: 180_000 });
      await api.expect(201, "POST", "/farms", { body: { name: card, ...makeFarm({ address: virtual }) } });
    }
    t.equal(await askFromWorld(context, fibre.virtual), back.box.ipv4, "by the default gateway");
    t.equal(await askFromWorld(context, cable.virtual), undefined, "the routers let nothing pass that went astray");
    await putInterface(box, cable.card, onUplink("cable", { gateway: cable.gateway.ipv4, defaultRoute: false }));
    t.match(await machine.shell(`ip route get ${world}`), new RegExp(`via ${fibre.gateway.ipv4} dev ${fibre.card}`));
    for (const { card, virtual } of [fibre, cable]) {
      t.equal(await askFromWorld(context, virtual), back.box.ipv4, `${card}: translated at both ends`);
      await api.expect(200, "PATCH", `/farms/${card}`, { body: { natType: "dnat" } });
      t.equal(await askFromWorld(context, virtual), world, `${card}: the server knows the client`);
      await api.expect(204, "DELETE", `/farms/${card}`);
    }
    for (const { box: own } of [fibre, cable]) {
      const ping = ["ping", "-c", "2", "-W", "5", own];
      t.match((await runCommand(inNamespace(lab.id, "world", ping), { accept: [0, 1] })).stdout, / [12] received/, own);
    }
  });
}

/** Connections from the clients' network to the world, counted by the address that they came from. */
async function count(box: Box, total: number): Promise<Tally> {
  const target = { address: world, port: backendPorts.http, timeout: box.machine.scale(2_000) };
  return await askMany(total, async () => {
    const { peer } = await askHttp(target);
    return { name: peer, peer };
  });
}

async function checkWeights({ box, check }: SuiteContext): Promise<void> {
  await check("connections are shared out over uplinks by weight, each behind its own address", async (t) => {
    const farm = {
      name: "isp",
      interfaces: ["nic0"],
      ...probing,
      probes: { beyond: { type: "icmp", address: world } },
      uplinks: {
        fibre: { interface: fibre.card, gateway: fibre.gateway.ipv4, weight: 3 },
        cable: { interface: cable.card, gateway: cable.gateway.ipv4 },
      },
    };
    await box.api.expect(201, "POST", "/dslb/farms?confirmWithin=0", { body: farm, timeout: 60_000 });
    const total = 400;
    const { counts, errors } = await count(box, total);
    t.same(errors, []);
    t.same(Object.keys(counts).sort(), [fibre.box, cable.box]);
    report(`uplinks: 3:1 of ${total}: ${counts[fibre.box]} and ${counts[cable.box]}`);
    t.ok(isWithinBound(counts[fibre.box] ?? 0, total, 3 / 4), `3:1 of ${total}: ${JSON.stringify(counts)}`);
  });
}

async function stateOf(box: Box, name: UplinkName): Promise<string | undefined> {
  const { items } = await box.api.get("/dslb/status");
  return items[0]?.uplinks.find((each) => each.name === name)?.state;
}

/** Waits until the box says so of an uplink. */
async function become(box: Box, name: UplinkName, state: string): Promise<void> {
  const said = async () => (await stateOf(box, name)) === state;
  await waitFor(`${name} to be ${state}`, said, { timeout: box.machine.scale(15_000), interval: 200 });
}

/** Milliseconds of Date.now() at which the agent last logged such a line. The guest's clock is not the host's. */
async function whenLogged(box: Box, words: string): Promise<number> {
  const begin = Date.now();
  const clock = Number(await box.machine.shell("date +%s.%N")) * 1_000;
  const ahead = clock - (begin + Date.now()) / 2;
  const log = "journalctl --boot --unit=steelyard-agent --output=short-unix --no-pager";
  const line = await box.machine.shell(`${log} | grep '${words}' | tail -n 1`);
  return Number(line.split(" ")[0]) * 1_000 - ahead;
}

/** How often the box found the fibre dead. */
async function countVerdicts({ machine }: Box): Promise<number> {
  const log = "journalctl --boot --unit=steelyard-agent --output=cat --no-pager";
  return Number(await machine.shell(`${log} | grep -c 'uplink isp/fibre is down' || true`));
}

type Loss = { moved: number; began: number };

/**
 * Lets connections be held and others begin while the fibre is taken away, and looks at what becomes of them.
 * Returns when it began, and milliseconds from then to the last new connection that failed.
 */
async function loseFibre(t: Test, box: Box, take: () => Promise<void>, state: string): Promise<Loss> {
  const { machine } = box;
  const verdicts = await countVerdicts(box);
  const held = await HeldConnections.open(world, backendPorts.echo, 24, machine.scale(2_000));
  try {
    const before = held.peers;
    t.ok((before[fibre.box] ?? 0) > 0 && (before[cable.box] ?? 0) > 0, `held: ${JSON.stringify(before)}`);
    // Less than a second, after which the first packet is sent again, and a connection that was lost would count as one that moved.
    const stop = watchConnections({ address: world, port: backendPorts.http, timeout: 800 }, 100);
    await sleep(1_000);
    const began = Date.now();
    await take();
    await become(box, "fibre", state);
    await sleep(machine.scale(500));
    const attempts = await stop();
    const moved = lastFailure(attempts, began);
    const after = attempts.filter(({ at }) => at > began + moved);
    t.ok(after.length > 5, `${after.length} connections after it`);
    t.same([...new Set(after.map(({ peer }) => peer))], [cable.box], "new connections use the other one");
    const found = async () => (await countVerdicts(box)) > verdicts;
    await waitFor("the verdict", found, { timeout: machine.scale(15_000), interval: 500 });
    await sleep(machine.scale(500));
    t.equal(await held.probe(machine.scale(1_000)), before[cable.box], "of those that were held, the other's live");
    t.same(
      [...new Set(held.losses)],
      ["world: ECONNRESET"],
      `${held.losses.length} that could not survive were told by a reset`,
    );
    return { began, moved };
  } finally {
    held.close();
  }
}

async function checkDeath({ box, lab, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check(
    "an uplink with nothing beyond its gateway is found dead, and new connections move in time",
    async (t) => {
      const take = async () => {
        await runCommand(["ip", ...inside(lab.id, fibre.router, "route", "replace", "blackhole", world)]);
      };
      const { began, moved } = await loseFibre(t, box, take, "dead");
      const verdict = (await whenLogged(box, "uplink isp/fibre is down")) - began;
      const bound = machine.scale((probing.fall + 1) * probing.interval * 1_000);
      t.ok(verdict <= bound, `verdict after ${Math.round(verdict)} ms`);
      t.ok(moved - verdict <= machine.scale(failoverTime), `moved after ${moved} ms`);
      const gateway = ["ping", "-c", "1", "-W", "5", fibre.gateway.ipv4];
      t.equal((await machine.guest(gateway, machine.scale(5_000))).code, 0, "its gateway answered all the while");
      report(
        `uplinks: nothing beyond the gateway: verdict after ${Math.round(verdict)} ms (probes each ${probing.interval} s, ${probing.fall} in a row), last failed connection begun ${moved} ms after the cut`,
      );
    },
  );
}

async function checkReturn({ box, lab, check }: SuiteContext): Promise<void> {
  await check("it returns at once where the farm says so", async (t) => {
    const began = Date.now();
    await runCommand(["ip", ...inside(lab.id, fibre.router, "route", "replace", world, "via", fibre.far.world)]);
    await become(box, "fibre", "used");
    report(`uplinks: back in use ${Date.now() - began} ms after its return (${probing.rise} rounds in a row)`);
    const { counts, errors } = await count(box, 60);
    t.same(errors, []);
    t.same(Object.keys(counts).sort(), [fibre.box, cable.box]);
  });
}

async function checkCut({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  await check("a cut cable moves new connections in time, and the uplink waits for its return by hand", async (t) => {
    await api.expect(200, "PATCH", "/dslb/farms/isp?confirmWithin=0", { body: { return: "manually" } });
    try {
      const { moved } = await loseFibre(t, box, () => machine.setLink(fibre.bridge, false), "no-link");
      t.ok(moved <= machine.scale(failoverTime), `moved after ${moved} ms`);
      report(`uplinks: cable cut: last failed connection begun ${moved} ms after the cut`);
    } finally {
      await machine.setLink(fibre.bridge, true);
    }
    await become(box, "fibre", "waiting");
    t.same((await count(box, 20)).counts, { [cable.box]: 20 }, "meanwhile it is not used");
    await api.expect(204, "POST", "/dslb/farms/isp/uplinks/fibre/return");
    await become(box, "fibre", "used");
    t.same(Object.keys((await count(box, 60)).counts).sort(), [fibre.box, cable.box]);
  });
}

async function removeAll({ api }: Box): Promise<void> {
  const remove = (path: string) => api.send("DELETE", `${path}?confirmWithin=0`, { timeout: 180_000 });
  await remove("/dslb/farms/isp");
  for (const { card } of [fibre, cable]) {
    await remove(`/farms/${card}`);
    await remove(`/network/virtual-addresses/${card}`);
    await remove(`/network/interfaces/${card}`);
  }
}
