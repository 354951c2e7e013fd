import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { setUpServer } from "../api/testing.ts";
import { makeClient } from "./client.ts";
import { readEvents } from "./events.ts";

t.test("calls are typed by the API's description, and carry parameters, queries and bodies", async (t) => {
  const { server, machine } = await setUpServer(t);
  await server.listen();
  const client = makeClient({ socket: machine.path("/run/steelyard/api.sock") });
  const farm = { profile: "l4xnat" as const, virtualAddresses: ["192.0.2.10"], ports: ["80"] };
  const made = await client.call("post", "/api/v1/farms", { body: { name: "web", ...farm } });
  t.match(made, { status: 201, generation: 2, etag: String, warnings: [] });
  const plan = await client.call("put", "/api/v1/farms/{farm}", {
    path: { farm: "other" },
    query: { dryRun: "true" },
    body: farm,
  });
  t.match(plan.body, { generation: 2, steps: [{ subsystem: "memory" }] });
  const { body } = await client.call("get", "/api/v1/farms/{farm}", { path: { farm: "web" } });
  t.equal(body.protocol, "tcp");
  // @ts-expect-error there is no such field
  t.equal(body.color, undefined);
  await t.rejects(client.call("get", "/api/v1/farms/{farm}", { path: { farm: "a/b" } }), { code: "bad-input" });
  await client.call("post", "/api/v1/farms", { body: { name: "mail", ...farm, ports: ["25"] } });
  const all = await client.list("/api/v1/farms", { query: { limit: 1, sort: "-name" } });
  t.same(
    all.map(({ name }) => name),
    ["web", "mail"],
    "page after page",
  );
});

t.test("server-sent events are read whole, wherever the pieces break", async (t) => {
  const text =
    'retry: 3000\n\n: alive\n\nid: a-1\nevent: committed\ndata: {"generation":7,\ndata: "who":"é"}\n\nevent: end\r\ndata: plain\r\n\r\n';
  const bytes = Buffer.from(text);
  for (const size of [1, 3, 7, bytes.length]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    const events = [];
    for await (const event of readEvents(
      (async function* () {
        yield* pieces;
      })(),
    ))
      events.push(event);
    t.same(events, [
      { id: "a-1", event: "committed", data: { generation: 7, who: "é" } },
      { id: "a-1", event: "end", data: "plain" },
    ]);
  }
});

t.test(
  "following goes on after the last event when a connection ends, and stops at the signal or a refusal",
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "steelyard-"));
    t.teardown(() => rm(directory, { recursive: true }));
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      if (request.url !== "/api/v1/events?topic=commits") {
        response.writeHead(403, { "Content-Type": "application/problem+json" });
        response.end('{"code":"forbidden","detail":"not yours"}');
        return;
      }
      asked.push(request.headers["last-event-id"] as string | undefined);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.end(`id: ${asked.length}\nevent: committed\ndata: ${asked.length}\n\n`);
    });
    const socket = join(directory, "api.sock");
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    t.teardown(() => server.close());
    const client = makeClient({ socket });
    const stop = new AbortController();
    const seen: unknown[] = [];
    for await (const { data } of client.follow("/api/v1/events", {
      query: { topic: "commits" },
      signal: stop.signal,
    })) {
      seen.push(data);
      if (seen.length === 2) stop.abort();
    }
    t.same(seen, [1, 2]);
    t.same(asked, [undefined, "1"]);
    await t.rejects(client.follow("/elsewhere").next(), { code: "forbidden", message: "not yours" });
  },
);
