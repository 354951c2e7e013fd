import { request as httpRequest, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { user } from "../access/schema.ts";
import { password, setUpServer } from "../api/testing.ts";
import { makeEventBus } from "./bus.ts";
import { makeStateLook } from "./sources.ts";
import { makeEventStream } from "./stream.ts";

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const farm = { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };

/** Opens a stream over the real socket; `until` waits for a text in what has come so far. */
async function follow(t: Test, socketPath: string, query = "", headers: Record<string, string> = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({ socketPath, path: `/api/v1/events${query}`, headers }, resolve);
    request.on("error", reject).end();
    t.teardown(() => request.destroy());
  });
  let text = "";
  let ended = false;
  response.on("data", (part) => {
    text += part;
  });
  response.on("end", () => {
    ended = true;
  });
  response.on("error", () => {});
  const until = async (wanted: RegExp | "end") => {
    for (let count = 0; count < 500; count += 1) {
      if (wanted === "end" ? ended : wanted.test(text)) return text;
      await sleep(20);
    }
    throw new Error(`${wanted} did not come: ${text}`);
  };
  return { response, until };
}

t.test("events are kept for those who come back, and who missed some is told", async (t) => {
  const bus = makeEventBus({ now: () => new Date(0), log: quiet });
  const seen: string[] = [];
  const stop = bus.subscribe(["commits"], ({ id, kind }) => seen.push(`${id} ${kind}`));
  bus.subscribe(["commits"], () => {
    throw new Error("a listener that fails");
  });
  bus.publish("commits", "committed", { generation: 1 });
  bus.publish("states", "farm-state", { farm: "web" });
  bus.publish("statistics", "statistics", {});
  bus.publish("commits", "confirmed", {});
  t.same(seen, ["0-1 committed", "0-4 confirmed"]);
  t.match(bus.after("0-1", ["commits", "states", "statistics"]), [{ id: "0-2" }, { id: "0-4" }]);
  t.same(bus.after("0-4", ["commits"]), []);
  for (const stranger of ["1-1", "0-5", "0-x", "x", "0--1"])
    t.equal(bus.after(stranger, ["commits"]), undefined, stranger);
  stop();
  for (let count = 0; count < 1000; count += 1) bus.publish("commits", "committed", {});
  t.equal(bus.after("0-1", ["commits"]), undefined, "the oldest made room");
  t.equal(bus.after("0-504", ["commits"])?.length, 500);
  for (let count = 0; count < 30; count += 1) bus.publish("commits", "committed", { text: "x".repeat(100_000) });
  t.equal(bus.after("0-1004", ["commits"]), undefined, "bytes are bounded too");
  t.equal(seen.length, 2);
});

t.test("states are told when they change, and looked at only while somebody wants them", async (t) => {
  let time = 0;
  const bus = makeEventBus({ now: () => new Date(time), log: quiet });
  let looks = 0;
  let farms = [{ name: "web", state: "up", backends: [{ name: "b1", effective: "up" }] }];
  let certificates = [{ name: "site", state: "valid" }];
  const look = makeStateLook(bus, {
    readFarmStates: async () => {
      looks += 1;
      return farms;
    },
    readCertificateStates: async () => certificates,
  });
  await look();
  t.equal(looks, 0, "nobody asked");
  const seen: object[] = [];
  const stop = bus.subscribe(["states"], ({ kind, data }) => seen.push({ kind, ...data }));
  await look();
  await look();
  t.same(seen, [], "the first look is what later ones are compared with");
  farms = [{ name: "web", state: "down", backends: [] }];
  certificates = [{ name: "site", state: "expiring" }];
  await look();
  t.same(seen, [
    { kind: "farm-state", farm: "web", state: "down", before: "up" },
    { kind: "certificate-state", certificate: "site", state: "expiring", before: "valid" },
    { kind: "backend-state", farm: "web", backend: "b1", state: "gone", before: "up" },
  ]);
  stop();
  time += 30_000;
  await look();
  t.equal(looks, 4, "who was cut off may come back");
  time += 31_000;
  await look();
  t.equal(looks, 4);
});

t.test("a reader that does not read is cut off with the reason, at a bounded cost", async (t) => {
  const stream = makeEventStream();
  const event = {
    id: "0-1",
    topic: "commits" as const,
    kind: "committed",
    time: "",
    data: { text: "x".repeat(10_000) },
  };
  for (let count = 0; count < 1000; count += 1) stream.send(event);
  t.ok(stream.readable.readableLength < 300_000, `${stream.readable.readableLength} bytes wait`);
  let text = "";
  for await (const part of stream.readable) text += part;
  t.match(text, /event: end\ndata: {"reason":"too-slow"[^\n]+\n\n$/);
});

t.test("commits, states and statistics come over the socket; a stream goes on where it was left", async (t) => {
  const { server, control, machine } = await setUpServer(t, {
    eventIntervals: { states: 20, statistics: 20, beat: 50 },
  });
  await server.listen();
  const socket = machine.path("/run/steelyard/api.sock");
  const commit = (name: string, enabled: boolean) =>
    server.local.inject({ method: "PUT", url: `/api/v1/farms/${name}`, payload: { ...farm, enabled } });

  const all = await follow(t, socket);
  t.match(all.response.headers, { "content-type": /^text\/event-stream/, "cache-control": "no-store" });
  const statistics = await follow(t, socket, "?topic=statistics");
  await all.until(/: alive/);
  await commit("web", true);
  // States are looked at now and then: what nobody saw has no change.
  await all.until(/event: farm-state\ndata: .*"farm":"web","state":"up"/);
  await commit("web", false);
  const text = await all.until(/"before":"up"/);
  t.match(text, /^retry: 3000\n\n/);
  t.match(text, /id: (\S+-\d+)\nevent: committed\ndata: {"id":"\1","topic":"commits".*"generation":2.*"farms\/web"/);
  t.match(text, /event: farm-state\ndata: .*"farm":"web","state":"disabled","before":"up"/);
  t.notMatch(text, /statistics/, "only who asks for them gets statistics");
  t.notMatch(await statistics.until(/event: statistics\ndata: .*"load"/), /committed/);

  const first = /^id: (\S+)\nevent: committed$/m.exec(text)?.[1] ?? "";
  const again = await follow(t, socket, "?topic=commits", { "last-event-id": first });
  t.notMatch(await again.until(/"generation":3/), /"generation":2,|event: gap/);
  const late = await follow(t, socket, "?topic=commits", { "last-event-id": "longago-7" });
  await late.until(/event: gap\ndata: {"topics":\["commits"\]/);

  const bad = await server.local.inject("/api/v1/events?topic=commits,gossip");
  t.match(bad.json(), { status: 400, problems: [{ path: "topic", message: /expected some of commits, states/ }] });
  for (let count = 0; count < 4; count += 1) await follow(t, socket, "?topic=jobs");
  t.match(
    (await server.local.inject("/api/v1/events")).json(),
    { code: "too-many-requests" },
    "a user has eight at most",
  );

  const closed = server.close();
  t.match(await all.until("end"), /event: end\ndata: {"reason":"closing"/);
  await closed;
  t.equal(control.current().generation, 3);
});

t.test("a stream shows what its reader may see, and ends with the session", async (t) => {
  const { server, https, control } = await setUpServer(t, { eventIntervals: { states: 20, beat: 20 } });
  await server.listen();
  const current = control.current().configuration;
  const { passwordHash } = current.users.admin ?? {};
  await control.commit({
    author: { user: "admin", source: "local" },
    message: "a user for one farm",
    change: (now) => ({
      ...now,
      roles: { one: { description: "", permissions: ["farms:read"], bindings: { farms: ["mine"] } } },
      users: { ...now.users, anna: user.parse({ passwordHash, roles: ["one"] }) },
    }),
  });
  await https.listen({ host: "127.0.0.1", port: 0 });
  const opened = await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user: "anna", password } });
  const authorization = `Bearer ${opened.json().token}`;
  const refused = await https.inject({ url: "/api/v1/events?topic=commits", headers: { authorization } });
  t.match(refused.json(), { code: "forbidden", detail: /commits needs the permission configuration:read/ });

  const { request } = await import("node:https");
  const { port } = https.server.address() as { port: number };
  let text = "";
  const ended = new Promise<void>((resolve, reject) => {
    request({ port, host: "127.0.0.1", path: "/api/v1/events", rejectUnauthorized: false, headers: { authorization } })
      .on("response", (response) => response.on("data", (part) => (text += part)).on("end", resolve))
      .on("error", reject)
      .end();
  });
  while (!text.includes("alive")) await sleep(10);
  await sleep(50);
  for (const name of ["mine", "other"])
    await server.local.inject({ method: "PUT", url: `/api/v1/farms/${name}`, payload: farm });
  while (!text.includes("farm-state")) await sleep(10);
  await https.inject({ method: "DELETE", url: "/api/v1/sessions", headers: { authorization } });
  await ended;
  t.match(text, /"farm":"mine"/);
  t.notMatch(text, /"farm":"other"|committed/);
  t.match(text, /event: end\ndata: {"reason":"logged-out"/);
});
