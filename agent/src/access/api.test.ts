import type { FastifyInstance } from "fastify";
import t from "tap";
import { password, setUpServer } from "../api/testing.ts";
import type { Configuration } from "../configuration/schema.ts";
import { makeApiKey } from "./api-keys.ts";
import { hashPassword } from "./password.ts";
import { role, user } from "./schema.ts";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";
const farm = { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };

type Test = Parameters<typeof setUpServer>[0];
type Headers = Record<string, string>;

/** A server with users `anna`, `ben`, … of these roles, all with the same password, and ways to call it as one of them. */
async function setUp(t: Test, roles: Record<string, string[]>, more: Partial<Configuration> = {}) {
  const parts = await setUpServer(t);
  const { control, machine, https } = parts;
  const passwordHash = await hashPassword(password, machine.randomBytes, { logN: 4, r: 8, p: 1 });
  const users = Object.fromEntries(
    Object.entries(roles).map(([name, own]) => [name, user.parse({ passwordHash, roles: own })]),
  );
  await control.commit({
    author: { user: "admin", source: "local" },
    message: "users",
    change: (now) => ({ ...now, ...more, users: { ...now.users, ...users } }),
  });
  const logIn = async (name: string, secret = password): Promise<Headers> => {
    const { token } = (await send(https, "POST /sessions", { user: name, password: secret })).body;
    return { authorization: `Bearer ${token}` };
  };
  return { ...parts, logIn, send: send.bind(undefined, https) };
}

async function send(
  app: FastifyInstance,
  line: string,
  payload?: object,
  headers: Headers = {},
  remoteAddress = "192.0.2.1",
) {
  const [method, path] = line.split(" ") as ["GET", string];
  const url = `/api/v1${path}`;
  const answer = await app.inject({ method, url, headers, remoteAddress, ...(payload ? { payload } : {}) });
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of an answer
  const body: any = answer.body === "" ? "" : answer.json();
  return { status: answer.statusCode, headers: answer.headers, body };
}

t.test("users, groups and roles are made over REST; a password goes in and never comes out", async (t) => {
  const { send, logIn, control } = await setUp(t, {});
  const admin = await logIn("admin");
  const role = { permissions: ["farms:*"], bindings: { farms: ["shop-*"] } };
  t.match(await send("POST /access/roles", { name: "shop", ...role }, admin), { status: 201, body: role });
  t.match(await send("POST /access/groups", { name: "web-team", roles: ["shop"] }, admin), { status: 201 });
  const anna = { name: "anna", fullName: "Anna Berg", groups: ["web-team"] };
  const weak = await send("POST /access/users", { ...anna, password: "anna" }, admin);
  t.match(weak, { status: 400, body: { problems: [{ path: "users.anna.password", message: /at least 10/ }] } });
  const made = await send("POST /access/users", { ...anna, password }, admin);
  t.match(made, { status: 201, body: { ...anna, disabled: false, source: "local" } });
  t.notMatch(JSON.stringify(made.body), /assword/);
  t.match(await send("GET /access/me", undefined, await logIn("anna")), {
    body: { user: "anna", permissions: [{ permission: "farms:*", names: ["shop-*"] }, { permission: "self:*" }] },
  });

  const before = control.current().configuration.users.anna?.passwordHash;
  const put = await send("PUT /access/users/anna", { ...made.body, fullName: "Anna Lund" }, admin);
  t.match(put, { status: 200, body: { fullName: "Anna Lund" } }, "what was read can be put back");
  t.equal(control.current().configuration.users.anna?.passwordHash, before, "and the password stays");
  t.match(await send("PATCH /access/users/anna", { passwordHash: before }, admin), { status: 400 });
  t.match(await send("PATCH /access/users/anna", { password: null, sshKeys: [key] }, admin), { status: 200 });
  t.equal(control.current().configuration.users.anna?.passwordHash, undefined);

  t.match(await send("DELETE /access/roles/admin", undefined, admin), { status: 403, body: { detail: /built in/ } });
  t.match(await send("GET /access/roles/operator", undefined, admin), { status: 200 });
  t.match(await send("PATCH /access/settings", { sessions: { idleMinutes: 5 } }, admin), {
    status: 200,
    body: { sessions: { idleMinutes: 5, absoluteMinutes: 720 } },
  });
});

t.test(
  "nobody raises his own rights, hands on what he lacks, takes over a stronger account or locks himself out",
  async (t) => {
    const people = { permissions: ["access:*", "farms:*"], description: "", bindings: {} };
    const { send, logIn, control } = await setUp(
      t,
      { clerk: ["people"], ben: ["operator"], eve: ["farm-operator"] },
      { roles: { people } },
    );
    const clerk = await logIn("clerk");
    const { generation } = control.current();
    for (const [line, body, path] of [
      ["PATCH /access/users/clerk", { roles: ["people", "admin"] }, "users.clerk"],
      ["PATCH /access/users/admin", { password: "a password of mine" }, "users.admin"],
      ["PATCH /access/users/ben", { disabled: true }, "users.ben"],
      ["DELETE /access/users/admin", undefined, "users.admin"],
      ["POST /access/users", { name: "mine", roles: ["admin"], password }, "users.mine"],
      ["POST /access/groups", { name: "mine", roles: ["operator"] }, "groups.mine"],
      ["PATCH /access/roles/people", { permissions: ["*:*"] }, "roles.people"],
      ["POST /access/roles", { name: "mine", permissions: ["system:update"] }, "roles.mine"],
      ["DELETE /access/users/clerk", undefined, "users.clerk"],
      ["PATCH /access/users/clerk", { disabled: true }, "users.clerk"],
      ["PATCH /access/users/clerk", { expires: "2020-01-01" }, "users.clerk"],
      ["PATCH /access/users/clerk", { roles: [] }, "users.clerk"],
      ["PATCH /access/users/clerk", { password: null }, "users.clerk.password"],
    ] as const)
      t.match(
        await send(line, body, clerk),
        { status: 403, body: { problems: [{ path }] } },
        `${line} ${JSON.stringify(body)}`,
      );
    t.equal(control.current().generation, generation, "nothing changed");
    const shop = { name: "shopkeeper", permissions: ["farms:update"], bindings: { farms: ["shop"] } };
    t.match(await send("POST /access/roles", shop, clerk), { status: 201 }, "less than one has may be handed on");
    t.match(await send("POST /access/users", { name: "dora", roles: ["shopkeeper"], password }, clerk), {
      status: 201,
    });
    const admin = await logIn("admin");
    t.match(await send("PATCH /access/users/admin", { roles: ["operator"] }, admin), { status: 403 });
    t.match(await send("PATCH /access/users/ben", { roles: ["admin"] }, admin), { status: 200 });
    t.match(await send("GET /access/users", undefined, await logIn("eve")), { status: 403 });
  },
);

t.test("a user bound to one farm sees and changes that farm alone", async (t) => {
  const shop = { description: "", permissions: ["farms:*", "configuration:*"], bindings: { farms: ["shop", "new-*"] } };
  const { send, logIn, control } = await setUp(t, { anna: ["shop"] }, { roles: { shop } });
  const [admin, anna] = [await logIn("admin"), await logIn("anna")];
  for (const name of ["shop", "mail"]) await send("POST /farms", { name, ...farm }, admin);
  await send("PATCH /farms/mail", { description: "secret" }, admin);
  t.match((await send("GET /farms", undefined, anna)).body, { total: 1, items: [{ name: "shop" }] });
  t.match((await send("GET /configuration", undefined, anna)).body, { users: {}, roles: {}, interfaces: {} });
  t.same(Object.keys((await send("GET /configuration", undefined, anna)).body.farms), ["shop"]);
  t.same(
    (await send("GET /configuration/diff", undefined, anna)).body.differences,
    [],
    "the change was of another farm",
  );
  const { generation } = control.current();
  for (const line of [
    "GET /farms/mail",
    "GET /farms/mail/status",
    "GET /farms/mail/backends",
    "PATCH /farms/mail",
    "PUT /farms/mail",
    "DELETE /farms/mail",
    "POST /farms/mail/backends",
    "GET /farms/none",
    "POST /configuration/rollback",
    "GET /network/interfaces",
    "GET /system",
    "GET /access/users",
  ]) {
    const body = { POST: { name: "b1", address: "192.0.2.9", port: 80 }, PUT: farm, PATCH: { description: "x" } };
    const [method = ""] = line.split(" ");
    const payload = line.includes("rollback") ? { generation: 1 } : body[method as keyof typeof body];
    t.match(await send(line, payload, anna), { status: 403 }, line);
  }
  for (const name of ["mail", "other"])
    t.match(
      await send("POST /farms", { name, ...farm }, anna),
      { status: 403 },
      "taken or not, the answer is the same",
    );
  t.equal(control.current().generation, generation);
  t.match(await send("PATCH /farms/shop", { description: "mine" }, anna), { status: 200 });
  t.match(await send("POST /farms/shop/backends", { name: "b1", address: "192.0.2.9", port: 80 }, anna), {
    status: 201,
  });
  t.match(await send("POST /farms", { name: "new-1", ...farm }, anna), { status: 201 });
  t.match(await send(`POST /configuration/rollback`, { generation: generation + 1 }, anna), { status: 200 });
});

t.test("sessions are listed, ended one by one and all, and end with what they stand on", async (t) => {
  const { send, logIn } = await setUp(t, { anna: ["operator"], ben: ["auditor"] });
  const [admin, anna, again, ben] = [
    await logIn("admin"),
    await logIn("anna"),
    await logIn("anna"),
    await logIn("ben"),
  ];
  const mine = (await send("GET /access/sessions", undefined, anna)).body;
  t.match(mine, {
    total: 2,
    items: [
      { user: "anna", current: false },
      { user: "anna", current: true, source: "192.0.2.1" },
    ],
  });
  t.equal((await send("GET /access/sessions", undefined, ben)).body.total, 4, "an auditor sees all");
  t.equal((await send("GET /access/sessions?user=anna", undefined, ben)).body.total, 2);
  const [{ id }] = mine.items;
  t.match(await send(`DELETE /access/sessions/${id}`, undefined, ben), { status: 404 }, "but ends none of others");
  t.match(await send("DELETE /access/sessions?user=anna", undefined, ben), { status: 403 });
  t.match(await send(`DELETE /access/sessions/${id}`, undefined, anna), { status: 204 });
  t.match(await send("GET /access/me", undefined, again), { status: 401 });
  t.match(await send("DELETE /access/sessions?user=anna", undefined, admin), { body: { ended: 1 } });
  t.match(await send("GET /access/me", undefined, anna), { status: 401 });

  for (const change of [{ roles: ["auditor"] }, { password: "another good one" }, { disabled: true }]) {
    await send("PATCH /access/users/anna", { roles: ["operator"], password, disabled: false }, admin);
    const session = await logIn("anna");
    t.match(await send("GET /access/me", undefined, session), { status: 200 });
    t.match(await send("PATCH /access/users/anna", change, admin), { status: 200 });
    t.match(await send("GET /access/me", undefined, session), { status: 401 }, JSON.stringify(change));
  }
  t.match(await send("POST /sessions", { user: "anna", password }), { status: 401 }, "a disabled user does not log in");
  t.match(await send("DELETE /access/users/ben", undefined, admin), { status: 204 });
  t.match(await send("GET /access/me", undefined, ben), { status: 401 });
});

t.test("a browser's cookie changes nothing without the other token, nor from another site", async (t) => {
  const { send } = await setUp(t, { anna: ["operator"] });
  const own = { "sec-fetch-site": "same-origin", origin: "https://lb1.example.com:444", host: "lb1.example.com:444" };
  const credentials = { user: "anna", password, cookie: true };
  t.match(await send("POST /sessions", credentials), { status: 403 }, "no browser, no cookie");
  const opened = await send("POST /sessions", credentials, own);
  t.match(opened, { status: 201, body: { csrfToken: String, token: undefined } });
  const [pair = "", ...attributes] = String(opened.headers["set-cookie"]).split("; ");
  t.match(pair, /^__Host-steelyard=[A-Za-z0-9_-]{43}$/);
  t.same(attributes, ["Path=/", "Max-Age=43200", "Secure", "HttpOnly", "SameSite=Strict"]);
  const cookie = { cookie: `theme=dark; ${pair}` };
  const { csrfToken } = (await send("GET /access/me", undefined, cookie)).body;
  t.equal(csrfToken, opened.body.csrfToken, "a page that was loaded anew finds it again");
  const token = { "x-csrf-token": csrfToken };
  for (const [why, headers] of Object.entries({
    "without the token": own,
    "with a wrong one": { ...own, "x-csrf-token": `${csrfToken}x` },
    "from another site": { ...own, ...token, "sec-fetch-site": "cross-site" },
    "from a neighbour": { ...own, ...token, "sec-fetch-site": "same-site" },
    "from another origin": { ...own, ...token, origin: "https://evil.example.com" },
    "from a sandbox": { ...own, ...token, origin: "null" },
    "from no browser": token,
  }))
    t.match(
      await send("POST /farms", { name: "web", ...farm }, { ...cookie, ...headers } as Headers),
      { status: 403 },
      why,
    );
  t.match(await send("GET /farms", undefined, cookie), { body: { total: 0 } });
  t.match(await send("POST /farms", { name: "web", ...farm }, { ...cookie, ...own, ...token }), { status: 201 });
  t.match(await send("GET /farms", undefined, { authorization: `Bearer ${pair.split("=")[1]}` }), { status: 401 });
  const out = await send("DELETE /sessions", undefined, { ...cookie, ...own, ...token });
  t.match(out, { status: 204, headers: { "set-cookie": /^__Host-steelyard=; Path=\/; Max-Age=0;/ } });
  t.match(await send("GET /farms", undefined, cookie), { status: 401 });
});

t.test(
  "API keys: shown once, kept as a hash, no more than the owner's rights, from their networks, until they end",
  async (t) => {
    const { send, logIn, control, clock, machine } = await setUp(t, { anna: ["farm-operator"], ben: ["read-only"] });
    const [admin, anna, ben] = [await logIn("admin"), await logIn("anna"), await logIn("ben")];
    t.match(
      await send("POST /access/api-keys", { roles: ["operator"] }, anna),
      { status: 403 },
      "beyond the owner's rights",
    );
    t.match(await send("POST /access/api-keys", { roles: ["read-only"], owner: "admin" }, anna), { status: 403 });
    t.match(await send("POST /access/api-keys", { roles: ["read-only"], expires: "2020-01-01T00:00:00Z" }, anna), {
      status: 400,
    });
    const wanted = {
      description: "report",
      roles: ["farm-operator"],
      networks: ["192.0.2.0/24"],
      expires: "2026-02-01T00:00:00Z",
    };
    const tried = await send("POST /access/api-keys?dryRun=true", wanted, anna);
    t.match(tried, {
      status: 200,
      body: { differences: [{ object: /^access\/api-keys\//, change: "added" }], key: undefined },
    });
    t.notMatch(JSON.stringify(tried.body), /sty_|hash: "?[0-9a-f$]{8}/, "a dry run shows no secret");
    t.same(control.current().configuration.apiKeys, {}, "and makes no key");
    const made = await send("POST /access/api-keys", wanted, anna);
    t.match(made, { status: 201, body: { ...wanted, owner: "anna", key: /^sty_[a-z0-9]{8}_[A-Za-z0-9_-]{43}$/ } });
    const { id, key } = made.body;
    t.notMatch(JSON.stringify(control.current().configuration), key.slice(13), "kept as a hash");
    const bearer = { authorization: `Bearer ${key}` };
    t.match(await send("GET /access/me", undefined, bearer), { body: { user: "anna", means: "api-key" } });
    t.match(await send("POST /farms", { name: "web", ...farm }, bearer), { status: 201 });
    t.match((await control.history())[0], { author: "anna" });
    const seen = (await send(`GET /access/api-keys/${id}`, undefined, anna)).body;
    t.match(seen, { id, owner: "anna", lastUsed: { source: "192.0.2.1", time: "2026-01-02T03:04:05.000Z" } });
    t.notOk(seen.key ?? seen.hash);
    t.match(await send(`DELETE /access/api-keys/${id}?dryRun=true`, undefined, anna), {
      status: 200,
      body: { differences: [{ change: "removed" }] },
    });
    t.match(await send(`DELETE /access/api-keys/${id}?dryRun=true`, undefined, ben), { status: 404 });
    t.match(await send(`GET /access/api-keys/${id}`, undefined, ben), { status: 404 });
    t.match(await send("GET /access/api-keys", undefined, ben), { body: { total: 0 } });
    t.match(await send("GET /access/api-keys", undefined, admin), { body: { total: 1 } });

    t.match(await send("GET /farms", undefined, bearer, "198.51.100.1"), {
      status: 401,
      body: { detail: /not for use from/ },
    });
    t.match(await send("GET /farms", undefined, { authorization: `Bearer ${key.slice(0, -1)}_` }), { status: 401 });
    const stranger = makeApiKey(machine.randomBytes);
    t.match(await send("GET /farms", undefined, { authorization: `Bearer ${stranger.key}` }), { status: 401 });
    for (const line of ["POST /access/api-keys", "PUT /access/me/ssh-keys", "DELETE /access/sessions"])
      t.match(
        await send(line, { roles: ["read-only"], sshKeys: [] }, bearer),
        { status: 403 },
        `${line}: a key makes no keys`,
      );
    await send("PATCH /access/users/anna", { roles: ["read-only"] }, admin);
    t.match(await send("PATCH /farms/web", { description: "x" }, bearer), { status: 403 }, "the owner's rights of now");
    t.match(await send("GET /farms/web", undefined, bearer), { status: 200 });
    await send("PATCH /access/users/anna", { disabled: true }, admin);
    t.match(await send("GET /farms", undefined, bearer), { status: 401 });
    await send("PATCH /access/users/anna", { disabled: false }, admin);
    t.match(await send("GET /farms", undefined, bearer), { status: 200 });
    clock.time = Date.parse("2026-02-01T00:00:00Z");
    t.match(await send("GET /farms", undefined, bearer), { status: 401, body: { detail: /expired/ } });
    clock.time = Date.parse("2026-01-02T03:14:05Z");
    t.match(await send(`DELETE /access/api-keys/${id}`, undefined, ben), { status: 404 });
    t.match(await send("DELETE /access/users/anna", undefined, admin), { status: 204 });
    t.same(control.current().configuration.apiKeys, {}, "the keys of a user go with the user");
    t.match(await send("GET /farms", undefined, bearer), { status: 401 });
  },
);

t.test("who is bound to one interface seizes no card of another with it", async (t) => {
  const net = { permissions: ["network:*", "configuration:commit"], bindings: { interfaces: ["bond*", "mine*"] } };
  const { send, logIn } = await setUp(t, { nina: ["net"] }, { roles: { net: role.parse(net) } });
  const nina = await logIn("nina");
  const bond = (members: string[], name = "bond0") => ({
    name,
    kind: "bond",
    bond: { mode: "active-backup", members },
  });
  const url = "/network/interfaces";
  const refused = (path: string, on: string) => ({
    status: 403,
    body: { problems: [{ path, message: `takes the permission network:update on ${on}` }] },
  });
  t.match(await send(`POST ${url}`, bond(["nic0"]), nina), refused("interfaces.bond0", "nic0"));
  t.match(await send(`POST ${url}?dryRun=true`, bond(["nic0"]), nina), refused("interfaces.bond0", "nic0"));
  t.match(await send(`POST ${url}`, bond(["mine0", "mine1"]), nina), { status: 201 });
  const patch = { bond: { members: ["mine0", "nic1"] } };
  t.match(await send(`PATCH ${url}/bond0`, patch, nina), refused("interfaces.bond0", "nic1"));
  const changes = [{ op: "patch", object: "network/interfaces/bond0", value: patch }];
  t.match(await send("POST /transactions", { message: "move", changes }, nina), refused("interfaces.bond0", "nic1"));
  const vlan = (parent: string) => ({ name: `mine9`, kind: "vlan", vlan: { parent, id: 9 } });
  t.match(await send(`POST ${url}`, vlan("nic1"), nina), refused("interfaces.mine9", "nic1"));
  t.match(await send(`POST ${url}`, vlan("bond0"), nina), { status: 201 });
  t.match(await send(`PATCH ${url}/mine9`, { mtu: 1400 }, nina), { status: 200 });
});

t.test("everybody changes the own password, knowing the old one, and the own SSH keys", async (t) => {
  const { send, logIn, control } = await setUp(t, { eve: ["read-only"] });
  const eve = await logIn("eve");
  t.match(await send("PUT /access/me/ssh-keys", { sshKeys: [key] }, eve), { status: 200 });
  t.same(control.current().configuration.users.eve?.sshKeys, [key]);
  const change = (current: string, next: string) => send("PUT /access/me/password", { current, password: next }, eve);
  t.match(await change("guess", "a much better one"), { status: 403 });
  t.match(await change(password, "eve"), { status: 400, body: { problems: [{ path: "password" }] } });
  t.match(await change(password, "a much better one"), { status: 204 });
  t.match(await send("GET /access/me", undefined, eve), { status: 401 }, "the sessions of before have ended");
  t.match(await send("GET /access/me", undefined, await logIn("eve", "a much better one")), { status: 200 });
});

t.test("an administrator lets a locked-out user try again", async (t) => {
  const { send, logIn } = await setUp(t, { anna: ["operator"] });
  const admin = await logIn("admin");
  for (let count = 0; count < 11; count += 1)
    await send("POST /sessions", { user: "anna", password: "wrong" }, {}, `203.0.113.${count}`);
  const tryAgain = () => send("POST /sessions", { user: "anna", password }, {}, "203.0.113.99");
  t.match(await tryAgain(), { status: 429 });
  t.match(await send("GET /access/lockouts", undefined, admin), { body: { items: [{ user: "anna", attempts: 11 }] } });
  t.match(await send("DELETE /access/lockouts/anna", undefined, admin), { status: 204 });
  t.match(await tryAgain(), { status: 201 });
});
