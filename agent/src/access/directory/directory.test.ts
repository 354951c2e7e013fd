import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { EqualityFilter, FilterParser } from "ldapts";
import t from "tap";
import { setUpServer } from "../../api/testing.ts";
import { type Configuration, configuration, emptyConfiguration } from "../../configuration/schema.ts";
import { requireNoEscalation } from "../escalation.ts";
import { everything, type Principal } from "../permissions.ts";
import { user } from "../schema.ts";
import { verifyAccess } from "../verify.ts";
import { rolesOfGroups } from "./lookup.ts";
import { escapeDnValue, fillFilter, fillUserTemplate, nestedMemberFilter, normalizeDn, readUserName } from "./names.ts";
import { directory, splitServer } from "./schema.ts";

const base = { servers: ["ldaps://ldap.example.com"], baseDn: "dc=example,dc=com" };
const admin = user.parse({ roles: ["admin"], sshKeys: [`ssh-ed25519 ${"A".repeat(68)}`] });

function withDirectory(settings: object, parts: object = {}): Configuration {
  return configuration.parse({
    ...emptyConfiguration(),
    users: { admin },
    ...parts,
    directories: { corp: { ...base, ...settings } },
  });
}

t.test("property: whatever stands for {user} in a filter stays one value of it", async (t) => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom("*", "a)(uid=*", "\\", "\\2a", "\u0000", "é"),
  );
  fc.assert(
    fc.property(text, (value) => {
      const filter = FilterParser.parseString(fillFilter("(uid={user})", { user: value }));
      const found = filter instanceof EqualityFilter ? filter.value : undefined;
      return (
        value === "" ||
        (Buffer.isBuffer(found) ? found.toString("utf8") : found) === Buffer.from(value).toString("utf8")
      );
    }),
    { numRuns: 2000 },
  );
  t.equal(fillFilter("(&(uid={user})(!(uid={user})))", { user: "*" }), "(&(uid=\\2a)(!(uid=\\2a)))");
  const nested = fillFilter(nestedMemberFilter, { dn: "CN=Anna (Berg),DC=example,DC=com" });
  t.equal(
    FilterParser.parseString(nested).toString(),
    "(member:1.2.840.113556.1.4.1941:=CN=Anna \\28Berg\\29,DC=example,DC=com)",
  );
});

t.test("property: whatever stands in a DN stays one value of it", async (t) => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (value) => {
      const dn = normalizeDn(`uid=${escapeDnValue(value)},dc=example`);
      return value.trim() === "" ? dn === undefined : dn?.split(/(?<!\\),/).length === 2;
    }),
  );
  t.equal(fillUserTemplate("uid={user},ou=people", "a,b"), "uid=a\\2cb,ou=people");
  t.equal(fillUserTemplate("{user}@example.com", "anna.berg"), "anna.berg@example.com");
});

t.test("a DN is the same in all its spellings, and no other", async (t) => {
  const one = normalizeDn("CN=Network Team,OU=Groups,DC=Example,DC=com");
  const same = [
    "cn=network team,ou=groups,dc=example,dc=com",
    "cn = Network  Team , ou=Groups,dc=Example;dc=com",
    "cn=Network\\20Team,ou=Groups,dc=example,dc=com",
  ];
  for (const each of same) t.equal(normalizeDn(each), one, each);
  const others = [
    "cn=network\\,team,ou=groups,dc=example,dc=com",
    "cn=network team,ou=groups,dc=example",
    "ou=network team",
  ];
  for (const each of others) t.not(normalizeDn(each), one, each);
  t.equal(normalizeDn("uid=a+cn=b,dc=c"), normalizeDn("CN=b+UID=a,DC=c"));
  t.equal(normalizeDn("cn=Müller,dc=c"), normalizeDn("cn=M\\c3\\bcller,dc=c"));
  for (const wrong of ["", "network", "cn=", "cn=a,", "=a", "cn=a,,dc=b", "cn=a\\"])
    t.equal(normalizeDn(wrong), undefined, wrong);
  const settings = directory.parse({
    ...base,
    groupRoles: [
      { group: "cn=a,dc=c", roles: ["operator"] },
      { group: "cn=b,dc=c", roles: ["auditor", "operator"] },
    ],
  });
  t.same(rolesOfGroups(settings, ["CN=A, DC=C", "CN=B,DC=C", "no DN"]), ["operator", "auditor"]);
  t.same(rolesOfGroups(settings, ["cn=a,dc=c,dc=d"]), []);
});

t.test("names and servers: what is none is refused by name", async (t) => {
  t.equal(readUserName("Anna.Berg@Example.com"), "anna.berg@example.com");
  for (const name of ["", " anna", "anna ", "a*", "a)", "ａnna", "a\u0000", ".a", "x".repeat(65)])
    t.equal(readUserName(name), undefined);
  t.same(splitServer("ldaps://[2001:db8::1]:7636"), { scheme: "ldaps", host: "2001:db8::1", port: 7636 });
  t.same(splitServer("ldap://dc1.example.com"), { scheme: "ldap", host: "dc1.example.com", port: 389 });
  for (const server of [
    "http://a",
    "ldaps://",
    "ldaps://a:0",
    "ldaps://a:70000",
    "ldaps://127.1",
    "ldaps://a/dc=b",
    "a",
  ])
    t.notOk(directory.safeParse({ ...base, servers: [server] }).success, server);
  for (const field of [
    { userFilter: "(uid=anna)" },
    { userTemplate: "{user}" },
    { caCertificates: "x" },
    { pinnedCertificates: ["ab"] },
  ])
    t.notOk(directory.safeParse({ ...base, ...field }).success, JSON.stringify(field));
});

t.test("what is wrong with a directory is told with its path, and what is weak is warned of", async (t) => {
  const findings = verifyAccess(
    withDirectory({
      servers: ["ldap://a", "ldap://a"],
      allowUnencrypted: true,
      bindDn: "cn=x",
      baseDn: "nowhere",
      userFilter: "(uid={user}",
      groupRoles: [{ group: "network", roles: ["nobody"] }],
      defaultRoles: ["none"],
    }),
  ).map(({ severity, path }) => `${severity} ${path}`);
  t.same(findings.sort(), [
    "error directories.corp.baseDn",
    "error directories.corp.bindPassword",
    "error directories.corp.defaultRoles.0",
    "error directories.corp.groupRoles.0.group",
    "error directories.corp.groupRoles.0.roles.0",
    "error directories.corp.servers.1",
    "error directories.corp.userFilter",
    "warning directories.corp.allowUnencrypted",
  ]);
  const good = { bindDn: "cn=x", bindPassword: "y", defaultRoles: ["read-only"] };
  t.same(verifyAccess(withDirectory(good)), []);
  t.match(verifyAccess(withDirectory({ userTemplate: "{user}@a", defaultRoles: ["read-only"] })), [
    { severity: "warning", message: /sessions end after recheckMinutes/ },
  ]);
});

t.test("nobody gives himself rights by a directory of his own", async (t) => {
  const now = new Date("2026-01-02T03:04:05Z");
  const helper: Principal = {
    user: "anna",
    source: "192.0.2.1",
    means: "session",
    grants: [
      { resource: "access", verb: "*" },
      { resource: "farms", verb: "*" },
    ],
  };
  const root: Principal = { ...helper, grants: everything };
  const before = configuration.parse({ ...emptyConfiguration(), users: { admin } });
  const gives = (role: string) =>
    withDirectory(
      { groupRoles: [{ group: "cn=a", roles: [role] }] },
      { roles: { farms: { permissions: ["farms:*"] } } },
    );
  const refused = { code: "forbidden", problems: [{ path: "directories.corp" }] };
  const roles = { ...before, roles: gives("farms").roles };
  t.throws(() => requireNoEscalation(helper, before, gives("admin"), now), refused);
  t.doesNotThrow(() => requireNoEscalation(root, before, gives("admin"), now));
  t.doesNotThrow(() => requireNoEscalation(helper, roles, gives("farms"), now));
  // Another server for a directory that checks the password of an administrator is a way to become one.
  const remote = { users: { admin, boss: user.parse({ source: "directory", roles: ["admin"] }) } };
  t.throws(
    () =>
      requireNoEscalation(helper, withDirectory({}, remote), withDirectory({ servers: ["ldaps://mine"] }, remote), now),
    refused,
  );
});

t.test("over REST the password of a directory goes in and never comes out", async (t) => {
  const { server, control } = await setUpServer(t);
  const url = "/api/v1/access/directories";
  const secret = randomBytes(12).toString("hex");
  const send = async (method: "GET" | "POST" | "PUT" | "PATCH", path: string, payload?: object) => {
    const answer = await server.local.inject({ method, url: path, ...(payload ? { payload } : {}) });
    t.notOk(answer.body.includes(secret), `${method} ${path}`);
    return answer;
  };
  const body = { ...base, bindDn: "cn=search,dc=example,dc=com", bindPassword: secret, defaultRoles: ["read-only"] };
  const created = await send("POST", url, { name: "corp", ...body });
  t.equal(created.statusCode, 201, created.body);
  const shown = (await send("GET", `${url}/corp`)).json();
  t.notOk("bindPassword" in shown);
  t.equal((await send("PUT", `${url}/corp`, { ...shown, order: 7 })).statusCode, 200);
  t.match(
    control.current().configuration.directories.corp,
    { order: 7, bindPassword: secret },
    "what was read is put back",
  );
  t.match((await send("PATCH", `${url}/corp`, { bindDn: null, bindPassword: null })).json(), { order: 7 });
  await send("PATCH", `${url}/corp`, { bindDn: "cn=search", bindPassword: secret });
  for (const path of [
    "/api/v1/configuration",
    "/api/v1/configuration/diff?from=1&to=2",
    "/api/v1/configuration/diff?from=4&to=5",
  ])
    await send("GET", path);
  t.equal((await send("POST", `${url}/none/test`, { user: "anna", password: "x" })).statusCode, 404);
});
