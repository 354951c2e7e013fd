import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import t from "tap";
import { openIdempotencyStore } from "./idempotency-store.ts";
import { setUpServer } from "./testing.ts";

const farm = { name: "web", profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };
const directory = "/run/steelyard/idempotency";

t.test("a repeated POST with the same key gets the first answer and changes nothing", async (t) => {
  const { server, control, machine } = await setUpServer(t);
  const post = async (payload: object, key: string, url = "/api/v1/farms") => {
    const answer = await server.local.inject({ method: "POST", url, payload, headers: { "idempotency-key": key } });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json() };
  };
  const first = await post(farm, "wish-1");
  t.match(first, { status: 201, headers: { "idempotency-replayed": undefined } });
  const again = await post(farm, '"wish-1"');
  t.match(again, { status: 201, body: first.body, headers: { "idempotency-replayed": "true" } });
  for (const name of ["etag", "location", "content-type", "steelyard-generation"])
    t.equal(again.headers[name], first.headers[name], name);
  t.not(again.headers["request-id"], first.headers["request-id"]);
  t.equal(control.current().generation, 2, "one farm, one generation");

  t.match(await post({ ...farm, name: "mail" }, "wish-1"), { status: 422, body: { code: "key-reused" } });
  t.match(await post(farm, "wish-1", "/api/v1/farms?dryRun=true"), { status: 422, body: { code: "key-reused" } });
  t.match(await post(farm, "wish-2"), { status: 409, body: { code: "exists" } }, "another key is another wish");
  t.match(await post(farm, "wish-2"), { headers: { "idempotency-replayed": "true" }, body: { code: "exists" } });
  t.match(await post(farm, "ü"), { status: 400, body: { detail: /Idempotency-Key: expected/ } });
  t.match(await post({ ...farm, name: 7 }, "wish-3"), { status: 400 });
  t.match(await post({ ...farm, name: "mail" }, "wish-3"), { status: 201 }, "a bad request does not use its key up");
  t.match(await post({ ...farm, name: "ftp", description: "refuse" }, "wish-4"), { status: 502 });
  t.match(await post({ ...farm, name: "ftp" }, "wish-4"), { status: 201 }, "neither does a failure of the box");

  const files = await readdir(machine.path(directory));
  t.equal(files.length, 4);
  t.equal((await stat(machine.path(`${directory}/${files[0]}`))).mode & 0o777, 0o600);
});

t.test("a repeated POST tells until when to confirm, and what has to wait does not use its key up", async (t) => {
  // Both clocks stand still: what passes until the answer would be missing at its end.
  const { server } = await setUpServer(t, { bootClock: { boot: () => "this", seconds: () => 60 } });
  const post = async (payload: object, key: string, query = "") => {
    const url = `/api/v1/farms${query}`;
    const answer = await server.local.inject({ method: "POST", url, payload, headers: { "idempotency-key": key } });
    return { status: answer.statusCode, before: answer.headers["steelyard-confirm-before"], body: answer.json() };
  };
  const first = await post(farm, "one", "?confirmWithin=5");
  t.match(first, { status: 201, before: /^2026-01-02T03:09:05/ });
  t.match(await post(farm, "one", "?confirmWithin=5"), { status: 201, before: first.before });
  t.match(await post({ ...farm, name: "mail" }, "two"), { status: 409, body: { code: "awaiting-confirmation" } });
  const confirmed = await server.local.inject({ method: "POST", url: "/api/v1/configuration/confirm" });
  t.equal(confirmed.statusCode, 200, confirmed.body);
  t.match(await post({ ...farm, name: "mail" }, "two"), { status: 201 }, "the same wish, later");
});

t.test("an answer that shows a secret is not kept: the request is refused before it makes one", async (t) => {
  const { server, control, machine } = await setUpServer(t);
  const headers = { "idempotency-key": "once" };
  for (const url of ["/api/v1/access/api-keys", "/api/v1/access/me/second-factor"]) {
    const answer = await server.local.inject({ method: "POST", url, payload: { roles: ["admin"] }, headers });
    t.match(
      { status: answer.statusCode, body: answer.json() },
      { status: 400, body: { detail: /shows a secret once/ } },
    );
  }
  t.equal(control.current().generation, 1);
  t.same(await readdir(machine.path(directory)).catch(() => []), []);
});

t.test("two requests with the same key at the same time: one works, the other is told to wait", async (t) => {
  const { server, control } = await setUpServer(t);
  const post = () =>
    server.local.inject({
      method: "POST",
      url: "/api/v1/farms",
      payload: farm,
      headers: { "idempotency-key": "same" },
    });
  const answers = await Promise.all([post(), post(), post()]);
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [201, 409, 409]);
  t.equal(answers.find(({ statusCode }) => statusCode === 409)?.json().code, "key-in-use");
  t.equal(control.current().generation, 2);
});

t.test("keys belong to a user, outlive the agent, and are forgotten after a day", async (t) => {
  const { machine, clock } = await setUpServer(t);
  const store = await openIdempotencyStore(machine);
  const answer = { status: 201, headers: {}, body: "{}" };
  t.equal(await store.claim("done", "digest"), undefined);
  await store.keep("done", answer);
  t.equal(await store.claim("cut-off", "digest"), undefined);
  await writeFile(machine.path(`${directory}/damaged.json`), "{");

  const later = await openIdempotencyStore(machine);
  t.same(await later.claim("done", "digest"), answer);
  await t.rejects(later.claim("cut-off", "digest"), { code: "key-in-use", message: /restarted/ });
  t.notOk((await readdir(machine.path(directory))).includes("damaged.json"));
  clock.time += 24 * 3_600_000 + 1;
  t.equal(await later.claim("cut-off", "digest"), undefined, "a day later the key is free");
  t.match(JSON.parse(await readFile(machine.path(`${directory}/cut-off.json`), "utf8")), { begun: clock.time });
});

t.test("the number of keys and the size of their answers are bounded", async (t) => {
  const { machine } = await setUpServer(t);
  const store = await openIdempotencyStore(machine, { number: 5, bytes: 3000 });
  const keep = async (id: string, body: string) => {
    await store.claim(id, "digest");
    await store.keep(id, { status: 201, headers: {}, body });
  };
  const count = async () => (await readdir(machine.path(directory))).length;
  for (let each = 0; each < 5; each += 1) await keep(`big-${each}`, "x".repeat(1000));
  t.equal(await count(), 3, "as many as have room");
  t.equal(await store.claim("big-0", "digest"), undefined, "the oldest made room");
  for (let each = 0; each < 8; each += 1) await keep(`small-${each}`, "");
  t.equal(await count(), 5);
});

t.test("a well-formed Request-Id of the client is taken, any other replaced", async (t) => {
  const { server, log } = await setUpServer(t);
  const ask = async (id: string) =>
    (await server.local.inject({ url: "/api/v1/nothing", headers: { "request-id": id } })).json().requestId;
  t.equal(await ask("deploy-4711.b"), "deploy-4711.b");
  for (const bad of ["short", "with space in it", "x".repeat(65), 'quote"quote"'])
    t.match(await ask(bad), /^[0-9a-f-]{36}$/);
  t.match(log.join("\n"), /request deploy-4711\.b/);
});
