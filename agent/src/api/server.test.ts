import type { FastifyInstance } from "fastify";
import t from "tap";
import { collections } from "../configuration/schema.ts";
import { withName } from "./named.ts";
import { setUpServer } from "./testing.ts";

const farm = {
  profile: "l4xnat",
  virtualAddresses: ["192.0.2.10"],
  ports: [80],
  backends: { b1: { address: "198.51.100.1", port: 80 } },
};

// biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of an answer
type Answer = { status: number; headers: Record<string, string>; body: any };

/** Sends `METHOD url` and gives back what matters of the answer. */
async function send(app: FastifyInstance, line: string, payload?: unknown, headers: Record<string, string> = {}) {
  const [method, url] = line.split(" ") as ["GET", string];
  const response = await app.inject({
    method,
    url,
    headers,
    ...(payload === undefined ? {} : { payload: payload as object }),
  });
  const { statusCode: status, body } = response;
  const answer: Answer = {
    status,
    headers: response.headers as Record<string, string>,
    body: body === "" ? "" : JSON.parse(body),
  };
  return answer;
}

t.test("a farm is created, read, listed, replaced, changed and deleted", async (t) => {
  const { server } = await setUpServer(t);
  const api = server.local;
  const created = await send(api, "POST /api/v1/farms", { name: "web", ...farm });
  t.match(created, { status: 201, headers: { location: "/api/v1/farms/web", "steelyard-generation": 2 } });
  t.match(created.body, { name: "web", ports: ["80"], algorithm: "weight", backends: { b1: { weight: 1 } } });
  t.ok(withName(collections.farms.object, collections.farms.name).safeParse(created.body).success, "as described");

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
  const patched = await send(
    api,
    "PATCH /api/v1/farms/web",
    { algorithm: "round-robin", backends: { b1: { weight: 3 } } },
    { "content-type": "application/merge-patch+json" },
  );
  t.match(patched, { status: 200, body: { algorithm: "round-robin", backends: { b1: { weight: 3, port: 80 } } } });
  t.match((await send(api, "PATCH /api/v1/farms/web", { algorithm: null })).body, { algorithm: "weight" });
  t.same((await send(api, "PATCH /api/v1/farms/web", { backends: { b1: null } })).body.backends, {});

  t.same(await send(api, "GET /api/v1/farms/web/status").then(({ body }) => body), {
    name: "web",
    state: "up",
    backends: [],
  });
  t.match(await send(api, "DELETE /api/v1/farms/web"), { status: 204, body: "" });
  t.match(await send(api, "GET /api/v1/farms/web"), { status: 404, body: { code: "not-found" } });
  t.match(await send(api, "GET /api/v1/farms/web/status"), { status: 404 });
  t.match(await send(api, "PUT /api/v1/farms/web", farm), { status: 201, headers: { location: "/api/v1/farms/web" } });
  t.match(await send(api, "POST /api/v1/farms", { name: "web", ...farm }), { status: 409, body: { code: "exists" } });
});

t.test("backends of a farm are objects of their own", async (t) => {
  const { server, control } = await setUpServer(t);
  const api = server.local;
  const url = "/api/v1/farms/web/backends";
  t.match(await send(api, `GET ${url}`), { status: 404, body: { detail: "there is no farm web" } });
  await send(api, "POST /api/v1/farms", { name: "web", ...farm });
  const created = await send(api, `POST ${url}`, { name: "b2", address: "2001:DB8::0:1", weight: 2 });
  t.match(created, { status: 201, headers: { location: `${url}/b2` }, body: { name: "b2", address: "2001:db8::1" } });
  t.match((await send(api, `PATCH ${url}/b2`, { state: "maintenance" })).body, { weight: 2, state: "maintenance" });
  t.match((await send(api, `GET ${url}?sort=-weight&limit=1`)).body, { items: [{ name: "b2" }], total: 2 });
  t.equal((await send(api, `DELETE ${url}/b1`)).status, 204);
  t.same(Object.keys(control.current().configuration.farms.web?.backends ?? {}), ["b2"]);
  t.match(await send(api, `PUT ${url}/b3`, { address: "198.51.100.3", port: 0 }), {
    status: 400,
    body: { problems: [{ path: "farms.web.backends.b3.port", message: "expected a port from 1 to 65535" }] },
  });
});

t.test("lists are filtered, sorted and cut into pages", async (t) => {
  const { server } = await setUpServer(t);
  const api = server.local;
  for (const name of ["web10", "web2", "mail"])
    await send(api, "POST /api/v1/farms", { name, ...farm, description: name });
  const names = async (query: string) => {
    const { body } = await send(api, `GET /api/v1/farms?${query}`);
    return body.items.map((item: { name: string }) => item.name);
  };
  t.same(await names(""), ["mail", "web2", "web10"]);
  t.same(await names("sort=-description"), ["web10", "web2", "mail"]);
  t.same(await names("name=web*"), ["web2", "web10"]);
  t.same(await names("name=*a*l"), ["mail"]);
  t.same(await names("name=web"), []);
  t.same(await names("limit=1&offset=1"), ["web2"]);
  t.match(await send(api, "GET /api/v1/farms?limit=0&color=red"), {
    status: 400,
    body: { problems: [{ path: "limit", message: "expected a limit from 1 to 1000" }, { path: "color" }] },
  });
});

t.test("a stale change is refused by If-Match, and so is creating what exists", async (t) => {
  const { server } = await setUpServer(t);
  const api = server.local;
  const { headers } = await send(api, "POST /api/v1/farms", { name: "web", ...farm });
  const old = { "if-match": headers.etag ?? "" };
  t.equal((await send(api, "PATCH /api/v1/farms/web", { enabled: false }, old)).status, 200);
  for (const [line, body] of [
    ["PATCH /api/v1/farms/web", { enabled: true }],
    ["PUT /api/v1/farms/web", farm],
    ["DELETE /api/v1/farms/web", undefined],
  ] as const)
    t.match(await send(api, line, body, old), { status: 412, body: { code: "stale" } }, line);
  t.equal((await send(api, "PUT /api/v1/farms/other", farm, old)).status, 412, "what is not there does not match");
  t.equal((await send(api, "PUT /api/v1/farms/web", farm, { "if-none-match": "*" })).status, 412);
  t.equal((await send(api, "PUT /api/v1/farms/new", farm, { "if-none-match": "*" })).status, 201);
  const system = await send(api, "GET /api/v1/system");
  t.equal(
    (await send(api, "PATCH /api/v1/system", { hostname: "lb1" }, { "if-match": system.headers.etag ?? "" })).status,
    200,
  );
  t.equal(
    (await send(api, "PATCH /api/v1/system", { hostname: "lb2" }, { "if-match": system.headers.etag ?? "" })).status,
    412,
  );
});

t.test("a refused request names every field and changes nothing", async (t) => {
  const { server, control } = await setUpServer(t);
  const api = server.local;
  const refused = async (line: string, payload: unknown, code: string, paths: string[], headers = {}) => {
    const { status, body, headers: answer } = await send(api, line, payload, headers);
    t.match(body, { code, status, title: String, detail: String, requestId: String }, `${line} ${code}`);
    t.same(body.problems.map(({ path }: { path: string }) => path).sort(), [...paths].sort(), body.detail);
    t.match(answer["content-type"], /^application\/problem\+json/);
  };
  const farms = "POST /api/v1/farms";
  const json = { "content-type": "application/json" };
  await refused(
    farms,
    { name: "web", ...farm, color: "red", algorithm: "magic", backends: { b1: { address: "1", port: 70000 } } },
    "bad-input",
    ["farms.web.color", "farms.web.algorithm", "farms.web.backends.b1.address", "farms.web.backends.b1.port"],
  );
  await refused(farms, { name: "web" }, "bad-input", ["farms.web.profile"]);
  await refused(farms, farm, "bad-input", ["farms.name"]);
  await refused(farms, { ...farm, name: "we;b" }, "bad-input", ["farms.we;b.name"]);
  await refused(farms, { ...farm, name: "web", ports: [true, "8010-8000"] }, "bad-input", [
    "farms.web.ports.0",
    "farms.web.ports.1",
  ]);
  await refused(farms, { ...farm, name: "web", backends: { "b;1": { address: "192.0.2.1" } } }, "bad-input", [
    "farms.web.backends.b;1",
  ]);
  await refused(farms, "{", "bad-input", [], json);
  await refused(farms, '{"name":"web","__proto__":{}}', "bad-input", [], json);
  await refused(farms, "null", "bad-input", ["farms"], json);
  await refused(farms, "a=b", "unsupported-type", [], { "content-type": "application/x-www-form-urlencoded" });
  await refused(farms, { ...farm, name: "web", description: "x".repeat(1024 * 1024) }, "too-large", []);
  await refused(farms, { ...farm, name: "web", description: "wrong" }, "invalid-configuration", [
    "farms.web.description",
  ]);
  await refused(farms, { ...farm, name: "web", description: "refuse" }, "apply-failed", []);
  await refused("PATCH /api/v1/farms/constructor", { enabled: false }, "not-found", []);
  await refused("GET /api/v1/farms/we;b", undefined, "bad-input", ["farm"]);
  await refused("GET /api/v1/nothing", undefined, "not-found", []);
  await refused("PATCH /api/v1/farms", undefined, "method-not-allowed", []);
  t.equal((await send(api, "PATCH /api/v1/farms", {})).headers.allow, "GET, HEAD, POST, OPTIONS");
  await refused("PATCH /api/v1/system", { hostname: "-", ntp: { servers: ["a b"] } }, "bad-input", [
    "system.hostname",
    "system.ntp.servers.0",
  ]);
  t.equal(control.current().generation, 1);

  await send(api, farms, { name: "web", ...farm });
  await refused("PATCH /api/v1/farms/web", { backends: { b1: { weight: 0 } } }, "bad-input", [
    "farms.web.backends.b1.weight",
  ]);
  await refused("PUT /api/v1/farms/web", { ...farm, name: "mail" }, "bad-input", ["farms.web.name"]);
  t.equal(control.current().generation, 2);
});

t.test("a dry run answers with the plan; warnings travel with the answer", async (t) => {
  const { server, control } = await setUpServer(t);
  const api = server.local;
  const odd = { name: "web", ...farm, description: "odd" };
  const plan = await send(api, "POST /api/v1/farms?dryRun=true", odd);
  t.match(plan, {
    status: 200,
    body: {
      generation: 1,
      warnings: [{ path: "farms.web.description" }],
      steps: [{ subsystem: "memory", kind: "remember", summary: "remember web" }],
    },
  });
  t.equal(control.current().generation, 1);
  const { headers } = await send(api, "POST /api/v1/farms", odd);
  t.same(JSON.parse(headers["steelyard-warnings"] ?? ""), [
    { path: "farms.web.description", message: "is odd, “really”" },
  ]);
  t.match((await send(api, "DELETE /api/v1/farms/web?dryRun=true")).body, { generation: 2, steps: [{}] });
  t.match((await send(api, "PATCH /api/v1/farms/web?dryRun=true", { description: "" })).body, {
    generation: 2,
    warnings: [],
  });
  t.match(await send(api, "PATCH /api/v1/farms/web?dryRun=maybe", {}), { status: 400 });
});

t.test("network objects and the system are changed the same way", async (t) => {
  const { server, control } = await setUpServer(t);
  const api = server.local;
  const nic0 = { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } };
  t.equal((await send(api, "PUT /api/v1/network/interfaces/nic0", nic0)).status, 201);
  t.equal((await send(api, "PUT /api/v1/network/interfaces/nic0.100", {})).status, 201);
  const address = { name: "web", interface: "nic0", address: "192.0.2.10/24" };
  t.equal((await send(api, "POST /api/v1/network/virtual-addresses", address)).status, 201);
  t.match(
    await send(api, "POST /api/v1/network/virtual-addresses", { ...address, name: "x", address: "192.0.2.10/33" }),
    {
      body: { problems: [{ path: "virtualAddresses.x.address" }] },
    },
  );
  t.match((await send(api, "PATCH /api/v1/system", { hostname: "lb1", management: { port: 8443 } })).body, {
    hostname: "lb1",
    management: { interfaces: [], port: 8443 },
  });
  t.match((await send(api, "PUT /api/v1/system", { hostname: "lb2" })).body, { management: { port: 444 } });
  t.match(control.current().configuration, {
    interfaces: { nic0: {} },
    virtualAddresses: { web: {} },
    system: { hostname: "lb2" },
  });
  t.same((await send(api, "GET /api/v1/network/links")).body, { items: [], total: 0 });
  t.equal((await send(api, "GET /api/v1/network/interfaces/nic9/status")).status, 404);
  t.match((await send(api, "GET /api/v1/system/status")).body, { health: "ok", generation: 6 });
});

t.test("the history is shown, compared and rolled back, and no secret leaves", async (t) => {
  const { server, control } = await setUpServer(t);
  const api = server.local;
  await send(api, "POST /api/v1/farms", { name: "web", ...farm });
  await send(api, "PATCH /api/v1/farms/web", { ports: [81] });
  const url = "/api/v1/configuration";
  t.match((await send(api, `GET ${url}/generations?limit=2`)).body, {
    total: 3,
    items: [
      { generation: 3, parent: 2, author: "admin", source: "local", message: "change farm web" },
      { generation: 2, message: "create farm web" },
    ],
  });
  t.match((await send(api, `GET ${url}/generations/2`)).body, { configuration: { farms: { web: { ports: ["80"] } } } });
  t.equal((await send(api, `GET ${url}/generations/9`)).status, 404);
  t.match((await send(api, `GET ${url}/diff`)).body, {
    from: 2,
    to: 3,
    differences: [{ object: "farms/web", change: "changed", text: /-.*80[\s\S]*\+.*81/ }],
  });
  t.equal((await send(api, `GET ${url}/diff?from=0&to=1`)).body.differences.length, 1);
  t.match((await send(api, `POST ${url}/rollback?dryRun=true`, { generation: 1 })).body, {
    generation: 3,
    steps: [{}],
  });
  t.match((await send(api, `POST ${url}/rollback`, { generation: 1 })).body, { generation: 4 });
  t.same(control.current().configuration.farms, {});
  t.match(await send(api, `POST ${url}/rollback`, { generation: 99 }), { status: 404 });
  for (const path of ["", "/generations/1", "/diff?from=0&to=1"]) {
    const { status, body } = await send(api, `GET ${url}${path}`);
    t.equal(status, 200);
    t.notMatch(JSON.stringify(body), /\$7\$/, path);
  }
});
