import t from "tap";
import { password, setUpServer } from "../api/testing.ts";

const url = "/api/v1/transactions";
const farm = (description = "", ports = ["80"]) => ({
  profile: "l4xnat",
  description,
  virtualAddresses: ["192.0.2.1"],
  ports,
});

async function setUp(t: Parameters<typeof setUpServer>[0]) {
  const { server, https, control } = await setUpServer(t);
  const send = async (payload: object, query = "") => {
    const answer = await server.local.inject({ method: "POST", url: url + query, payload });
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers };
  };
  return { server, https, control, send };
}

t.test("many objects land in one generation, or none does", async (t) => {
  const { control, send } = await setUp(t);
  const changes = [
    { op: "put", object: "farms/web", value: farm() },
    { op: "put", object: "farms/mail", value: farm("odd") },
    { op: "patch", object: "farms/web", value: { ports: ["443"] } },
    // By its place in a generation, and by the name that problems have.
    { op: "put", object: "access/groups/one", value: {} },
    { op: "put", object: "groups/two", value: {} },
    { op: "patch", object: "system", value: { hostname: "lb2" } },
  ];
  const done = await send({ message: "bring up two farms", generation: 1, changes });
  t.match(done, { status: 200, body: { generation: 2, warnings: [{ path: "farms.mail.description" }] } });
  t.match(control.current().configuration, {
    farms: { web: { ports: ["443"] } },
    groups: { one: {}, two: {} },
    system: { hostname: "lb2" },
  });
  t.match((await control.history())[0], { message: "bring up two farms", author: "admin" });
  t.match(await send({ message: "late", generation: 1, changes: [] }), { status: 412, body: { code: "stale" } });
  const refused = [
    { op: "delete", object: "farms/mail" },
    { op: "put", object: "farms/bad", value: farm("refuse") },
  ];
  t.match(await send({ message: "half of it works", changes: refused }), { status: 502 });
  t.ok(control.current().configuration.farms.mail, "nothing of it was kept");
  t.match(await send({ message: "take it down", confirmWithin: 3, changes: refused.slice(0, 1) }), {
    body: { generation: 3, pending: { parent: 2 } },
  });
});

t.test("every problem of every object is told at once", async (t) => {
  const { control, send } = await setUp(t);
  const changes = [
    { op: "put", object: "farms/web", value: { ...farm(), ports: ["eighty"], color: "red" } },
    { op: "put", object: "farms/Not A Name", value: farm() },
    { op: "patch", object: "farms/none", value: {} },
    { op: "delete", object: "system" },
    { op: "put", object: "pools/web", value: {} },
    { op: "put", object: "access/users/eve", value: { passwordHash: "(hidden)" } },
  ];
  const { status, body } = await send({ message: "all wrong", changes });
  t.equal(status, 400);
  t.match((body.problems as { path: string }[]).map(({ path }) => path).sort(), [
    "changes.4.object",
    "farms.Not A Name",
    "farms.none",
    "farms.web.color",
    "farms.web.ports.0",
    "system",
    "users.eve.passwordHash",
  ]);
  t.equal(control.current().generation, 1);
  t.equal((await send({ message: "neither" })).status, 400);
});

t.test("a dry run answers with the plan and the differences", async (t) => {
  const { control, send } = await setUp(t);
  const changes = [{ op: "put", object: "farms/web", value: farm("odd") }];
  const { body } = await send({ message: "try", changes }, "?dryRun=true");
  t.match(body, {
    generation: 1,
    steps: [{ subsystem: "memory" }],
    warnings: [{ path: "farms.web.description" }],
    differences: [{ object: "farms/web", change: "added", text: /\+profile: l4xnat/ }],
  });
  t.equal(control.current().generation, 1);
});

t.test("what GET shows can be applied again: hidden secrets stay as they are", async (t) => {
  const { control, server, send } = await setUp(t);
  await send({ message: "a farm", changes: [{ op: "put", object: "farms/web", value: farm() }] });
  const before = control.current();
  const shown = (await server.local.inject("/api/v1/configuration")).json();
  t.equal(shown.users.admin.passwordHash, "(hidden)");
  t.match((await send({ message: "the same", replace: shown })).body, { generation: before.generation, steps: [] });
  t.same(control.current().configuration, before.configuration);
  const without = { ...shown, farms: {} };
  t.match((await send({ message: "all farms away", replace: without })).body, { generation: before.generation + 1 });
  t.same(control.current().configuration.users, before.configuration.users);
  t.match((await send({ message: "more", replace: { ...shown, pools: {}, farms: 7 } })).body.problems, [
    { path: "farms" },
    { path: "pools" },
  ]);
});

t.test("a transaction and a rollback are no way around missing permissions", async (t) => {
  const { https, control, send } = await setUp(t);
  const { passwordHash } = control.current().configuration.users.admin ?? {};
  const role = { permissions: ["farms:*", "configuration:*"], bindings: { farms: ["web"] } };
  const prepared = await send({
    message: "an operator of one farm",
    changes: [
      { op: "put", object: "access/roles/web", value: role },
      { op: "put", object: "access/users/eve", value: { passwordHash, roles: ["web"] } },
      { op: "put", object: "farms/web", value: farm() },
      { op: "put", object: "farms/mail", value: farm() },
    ],
  });
  t.equal(prepared.status, 200);
  const login = await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user: "eve", password } });
  const headers = { authorization: `Bearer ${login.json().token}` };
  const post = async (path: string, payload: object) =>
    (await https.inject({ method: "POST", url: path, headers, payload })).json();
  const commit = (change: object) => post(url, { message: "try", changes: [change] });
  t.match(await commit({ op: "patch", object: "farms/web", value: { ports: ["81"] } }), { generation: 3 });
  for (const change of [
    { op: "patch", object: "farms/mail", value: { ports: ["81"] } },
    { op: "patch", object: "system", value: { hostname: "mine" } },
    { op: "patch", object: "access/users/eve", value: { roles: ["admin"] } },
    { op: "delete", object: "access/users/admin" },
  ])
    t.match(await commit(change), { status: 403, code: "forbidden" }, change.object);
  t.match(await post("/api/v1/configuration/rollback", { generation: 1 }), { status: 403 });
  t.equal(control.current().generation, 3);
});
