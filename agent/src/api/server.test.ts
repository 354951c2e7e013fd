import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import t from "tap";
import { password, setUpServer } from "./testing.ts";

const farm = {
  profile: "l4xnat",
  virtualAddresses: ["192.0.2.10"],
  ports: [80],
  backends: { b1: { address: "198.51.100.1", port: 80 } },
};

/** Sends a request and gives back what matters of the answer. */
async function send(app: FastifyInstance, line: string, payload?: unknown, headers: Record<string, string> = {}) {
  const [method, url] = line.split(" ") as ["GET", string];
  const response: LightMyRequestResponse = await app.inject({
    method,
    url,
    headers,
    ...(payload === undefined ? {} : { payload: payload as object }),
  });
  return {
    status: response.statusCode,
    headers: response.headers as Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of an answer
    body: (response.body === "" ? undefined : response.json()) as any,
  };
}

async function logIn(app: FastifyInstance) {
  const { body } = await send(app, "POST /api/v1/sessions", { user: "admin", password });
  return { authorization: `Bearer ${body.token}` };
}

t.test("a farm is created, read, listed, replaced, changed and deleted", async (t) => {
  const { server } = await setUpServer(t);
  const api = server.local;
  const created = await send(api, "POST /api/v1/farms", { name: "web", ...farm });
  t.match(created, { status: 201, headers: { location: "/api/v1/farms/web", "steelyard-generation": 2 } });
  t.match(created.body, { name: "web", ports: ["80"], algorithm: "weight", backends: { b1: { weight: 1 } } });

  const read = await send(api, "GET /api/v1/farms/web");
  t.same(read.body, created.body);
  t.equal(read.headers.etag, created.headers.etag);
  t.equal(
    (await send(api, "GET /api/v1/farms/web", undefined, { "if-none-match": read.headers.etag ?? "" })).status,
    304,
  );
  t.same((await send(api, "GET /api/v1/farms")).body, { items: [created.body], total: 1 });

  const put = await send(api, "PUT /api/v1/farms/web", read.body);
  t.match(put, { status: 200, headers: { etag: read.headers.etag ?? "" } }, "what was read can be put back");
  const patched = await send(api, "PATCH /api/v1/farms/web", {
    algorithm: "round-robin",
    backends: { b1: { weight: 3 } },
  });
  t.match(patched.body, { algorithm: "round-robin", backends: { b1: { weight: 3, port: 80 } } });
  t.match((await send(api, "PATCH /api/v1/farms/web", { algorithm: null })).body, { algorithm: "weight" });
  t.equal((await send(api, "DELETE /api/v1/farms/web")).status, 204);
  t.match(await send(api, "GET /api/v1/farms/web"), { status: 404, body: { code: "not-found" } });
});
t.test("x", async (t) => {
  const { server } = await setUpServer(t);
  const auth = await logIn(server.https as FastifyInstance);
  t.match(await send(server.https as FastifyInstance, "GET /api/v1/farms", undefined, auth), {});
  const doc = await send(server.https as FastifyInstance, "GET /api/v1/openapi.json");
  (await import("node:fs")).writeFileSync("/tmp/openapi.json", JSON.stringify(doc.body, null, 1));
  t.comment(doc.status, JSON.stringify(doc.body).length);
});
