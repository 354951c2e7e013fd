import { ask, type FarmShape, makeFarm } from "../src/box/farms.ts";
import { back, backendPorts, front, virtualAddresses } from "../src/lab/plan.ts";
import { runCommand } from "../src/run-command.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { tryConnection } from "../src/traffic/backends.ts";
import { askHttp } from "../src/traffic/clients.ts";
import { HeldConnections } from "../src/traffic/held-connections.ts";
import { binomialBound, isWithinBound } from "../src/traffic/statistics.ts";

const equal = { b1: 1, b2: 1 };
const threeToOne = { b1: 3, b2: 1 };

/** Connections of a check on random choice: see `binomialBound` for what that proves. */
const randomSample = 400;

/** What farms do with traffic. Leaves no farm behind. */
export const farms: Suite = {
  name: "farms",
  machine: "bios",
  run: async (context) => {
    for (const protocol of ["tcp", "udp"] as const)
      for (const family of ["ipv4", "ipv6"] as const) await checkSpread(context, { protocol, family });
    await checkHash(context);
    await checkPorts(context);
    await checkMaintenance(context);
    await checkDown(context);
    await checkClosing(context);
    await checkConcurrency(context);
  },
};

/** Creates a farm for one check and deletes it afterwards, whatever came of it. */
async function withFarm(
  { box }: SuiteContext,
  farm: Record<string, unknown>,
  body: (url: string) => Promise<void>,
): Promise<void> {
  const url = `/farms/${farm.name}`;
  await box.api.expect(201, "POST", "/farms", { body: farm });
  try {
    await body(url);
  } finally {
    await box.api.send("DELETE", url);
  }
}

async function checkSpread(context: SuiteContext, shape: FarmShape): Promise<void> {
  const { box, check } = context;
  const { protocol = "tcp", family = "ipv4" } = shape;
  const kind = `${protocol} ${family === "ipv4" ? "IPv4" : "IPv6"}`;
  const timeout = box.machine.scale(2_000);
  const send = (total: number) => ask(shape, total, timeout);
  const setWeights = (algorithm: string, { b1, b2 }: typeof equal) =>
    box.api.expect(200, "PATCH", "/farms/spread", {
      body: { algorithm, backends: { b1: { weight: b1 }, b2: { weight: b2 } } },
    });

  await box.api.expect(201, "POST", "/farms", { body: { name: "spread", ...makeFarm(shape) } });
  await check(`${kind}: round robin spreads 1:1 and 3:1 exactly`, async (t) => {
    t.match(await send(40), { counts: { b1: 20, b2: 20 }, errors: [] });
    await setWeights("round-robin", threeToOne);
    t.match(await send(80), { counts: { b1: 60, b2: 20 }, errors: [] });
  });
  await check(`${kind}: weight spreads 1:1 and 3:1 within five standard deviations`, async (t) => {
    for (const weights of [equal, threeToOne]) {
      const share = weights.b1 / (weights.b1 + weights.b2);
      await setWeights("weight", weights);
      const { counts, errors } = await send(randomSample);
      const { expected, tolerance } = binomialBound(randomSample, share);
      t.same(errors, []);
      t.ok(
        isWithinBound(counts.b1 ?? 0, randomSample, share),
        `${counts.b1} of ${randomSample} to b1: ${expected} expected, give or take ${tolerance.toFixed(0)}`,
      );
      t.equal((counts.b1 ?? 0) + (counts.b2 ?? 0), randomSample);
    }
  });
  await check(`${kind}: nat shows the box to the backends, dnat the client`, async (t) => {
    t.same([...(await send(10)).peers], [back.box[family]]);
    await box.api.expect(200, "PATCH", "/farms/spread", { body: { natType: "dnat" } });
    const { peers, errors } = await send(10);
    t.same(errors, []);
    t.same([...peers], [front.client[family]]);
  });
  await box.api.expect(204, "DELETE", "/farms/spread");
}

async function checkHash(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  await check("hash by source address keeps a client with one backend", async (t) => {
    const shape = { algorithm: "hash-source-address" } as const;
    await withFarm(context, { name: "hash", ...makeFarm(shape) }, async () => {
      const { counts, errors } = await ask(shape, 30, box.machine.scale(2_000));
      t.same(errors, []);
      t.same(Object.values(counts), [30]);
    });
  });
}

async function checkPorts(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  await check("a farm on several ports and a range keeps the port the client asked for", async (t) => {
    const { backends, ...farm } = makeFarm();
    const withoutPorts = Object.entries(backends as Record<string, { address: string }>).map(([name, { address }]) => [
      name,
      { address },
    ]);
    const several = { ...farm, name: "ports", ports: ["80", "8079-8081"], backends: Object.fromEntries(withoutPorts) };
    await withFarm(context, several, async () => {
      const timeout = box.machine.scale(2_000);
      for (const port of [backendPorts.http, backendPorts.alternativeHttp]) {
        const address = virtualAddresses.ipv4;
        t.match(await askHttp({ address, port, timeout }), { port });
      }
      t.equal(await tryConnection(virtualAddresses.ipv4, 8082, 1_500), "silent", "a port beside the range is closed");
    });
  });
  await check("curl reads a page through the farm, over IPv4 and IPv6", async (t) => {
    for (const family of ["ipv4", "ipv6"] as const) {
      await withFarm(context, { name: "page", ...makeFarm({ family }) }, async () => {
        const host = family === "ipv4" ? virtualAddresses.ipv4 : `[${virtualAddresses.ipv6}]`;
        const { stdout } = await runCommand([
          "curl",
          "--silent",
          "--show-error",
          "--max-time",
          "20",
          `http://${host}/`,
        ]);
        t.match(JSON.parse(stdout), { name: /^b[12]$/, peer: back.box[family] });
      });
    }
  });
}

async function checkMaintenance(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const timeout = box.machine.scale(2_000);
  await check("a backend in maintenance gets no new connection and keeps its old ones", async (t) => {
    const shape = { backendPort: backendPorts.echo };
    await withFarm(context, { name: "drain", ...makeFarm(shape) }, async (url) => {
      const open = (count: number) => HeldConnections.open(virtualAddresses.ipv4, backendPorts.echo, count, timeout);
      const old = await open(8);
      t.same(old.counts, { b1: 4, b2: 4 });
      await box.api.expect(200, "PATCH", `${url}/backends/b1`, { body: { state: "maintenance" } });
      const fresh = await open(12);
      t.same(fresh.counts, { b2: 12 }, "new ones go elsewhere");
      t.equal(await old.probe(timeout), 8, "old ones live");
      const status = await box.api.get("/farms/{farm}/status", { path: { farm: "drain" } });
      t.match(
        status.backends.find(({ name }) => name === "b1"),
        { effective: "maintenance", connections: 4 },
        "and the status counts them",
      );
      await box.api.expect(200, "PATCH", `${url}/backends/b1`, { body: { state: "up" } });
      t.equal(await old.probe(timeout), 8, "they also live through its return");
      const after = await open(12);
      t.same(after.counts, { b1: 6, b2: 6 }, "back, it takes its share");
      for (const held of [old, fresh, after]) held.close();
    });
  });
}

async function checkDown(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const timeout = box.machine.scale(2_000);
  await check("a backend set down loses its connections, the other keeps its own", async (t) => {
    const shape = { backendPort: backendPorts.echo };
    await withFarm(context, { name: "cut", ...makeFarm(shape) }, async (url) => {
      const held = await HeldConnections.open(virtualAddresses.ipv4, backendPorts.echo, 8, timeout);
      await box.api.expect(200, "PATCH", `${url}/backends/b1`, { body: { state: "down" } });
      t.equal(await held.probe(box.machine.scale(1_000)), 4, "half of them live");
      t.ok(held.losses.length === 4 && held.losses.every((loss) => loss.startsWith("b1")), held.losses.join(", "));
      held.close();
    });
  });
}

async function checkClosing(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const timeout = box.machine.scale(2_000);
  const port = backendPorts.http;
  await check("a disabled farm opens no port, and opens it again when enabled", async (t) => {
    await withFarm(context, { name: "switch", ...makeFarm(), enabled: false }, async (url) => {
      t.equal(await tryConnection(virtualAddresses.ipv4, port, 1_500), "silent");
      await box.api.expect(200, "PATCH", url, { body: { enabled: true } });
      t.match(await ask({}, 4, timeout), { errors: [] });
    });
  });
  await check("deleting a farm frees its port and leaves the others alone", async (t) => {
    const other = { address: virtualAddresses.secondIpv4 };
    await withFarm(context, { name: "other", ...makeFarm(other) }, async () => {
      await box.api.expect(201, "POST", "/farms", { body: { name: "gone", ...makeFarm() } });
      t.match(await ask({}, 4, timeout), { errors: [] });
      await box.api.expect(204, "DELETE", "/farms/gone");
      t.equal(await tryConnection(virtualAddresses.ipv4, port, 1_500), "silent", "the port is closed");
      t.match(await ask(other, 10, timeout), { counts: { b1: 5, b2: 5 }, errors: [] }, "the other farm serves");
      t.equal((await box.api.send("GET", "/farms/gone")).status, 404);
      await box.api.expect(201, "POST", "/farms", { body: { name: "heir", ...makeFarm() } });
      t.match(await ask({}, 4, timeout), { errors: [] }, "another farm may take the port");
      await box.api.expect(204, "DELETE", "/farms/heir");
    });
  });
}

async function checkConcurrency(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  await check("changes made at the same time all land, one generation each", async (t) => {
    const names = ["one", "two", "three", "four"];
    const ports = [8001, 8002, 8003, 8004];
    const shapes = ports.map((port) => ({ port, backendPort: backendPorts.http }));
    const create = names.map((name, index) =>
      box.api.expect(201, "POST", "/farms", { body: { name, ...makeFarm(shapes[index]) } }),
    );
    const made = (await Promise.all(create)).map(({ generation }) => generation ?? 0).sort((a, b) => a - b);
    t.same(
      made,
      made.map((_, index) => (made[0] ?? 0) + index),
      "each has a generation of its own",
    );
    for (const shape of shapes) t.match(await ask(shape, 4, box.machine.scale(2_000)), { counts: { b1: 2, b2: 2 } });
    const removed = await Promise.all(names.map((name) => box.api.send("DELETE", `/farms/${name}`)));
    t.same(
      removed.map(({ status }) => status),
      [204, 204, 204, 204],
    );
  });
}
