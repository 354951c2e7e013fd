import * as fs from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { findRecords } from "../src/access/audit/query.ts";
import { directory } from "../src/access/directory/schema.ts";
import { user as userSchema } from "../src/access/schema.ts";
import { run } from "../src/adapters/process.ts";
import { password, setUpServer } from "../src/api/testing.ts";
import { makeAuthority } from "./daemons.ts";
import { enterBox } from "./lab.ts";
import { makeSlapd, passwords, suffix } from "./slapd.ts";

/** Logging in by a directory, against OpenLDAP with TLS, through the API of the box. */
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  await run(["ip", "link", "set", "lo", "up"]);
  const place = await fs.mkdtemp(join(tmpdir(), "steelyard-ldap-"));
  t.teardown(() => fs.rm(place, { recursive: true }));
  const authority = await makeAuthority(place, "right");
  const stranger = await makeAuthority(place, "wrong");
  const files = await authority.sign("directory", "DNS:directory.example.com,IP:127.0.0.1");
  const slapd = await makeSlapd(place, { ...files, ca: authority.certificate });
  t.teardown(() => slapd.stop());
  const ca = await fs.readFile(authority.certificate, "utf8");
  const otherCa = await fs.readFile(stranger.certificate, "utf8");
  const secure = `ldaps://127.0.0.1:${slapd.securePort}`;
  const plain = `ldap://127.0.0.1:${slapd.plainPort}`;
  // Answers nothing, as a firewall that drops does.
  const silent = await listen("127.0.0.8", 636);
  const referred = await listen("127.0.0.9", 3891);
  t.teardown(() => [silent, referred].map(({ server }) => server.close()));

  const base = {
    servers: [secure],
    caCertificates: ca,
    bindDn: `cn=steelyard,ou=services,${suffix}`,
    bindPassword: passwords.search,
    baseDn: suffix,
    groupLookup: "search",
    groupRoles: [
      { group: `CN=Network, OU=Groups, ${suffix}`, roles: ["operator"] },
      { group: `cn=unix,ou=groups,${suffix}`, roles: ["auditor"] },
    ],
    timeoutSeconds: 1,
  };
  const { server, https, control, machine, clock, log } = await setUpServer(t);
  const author = { user: "admin", source: "local" };
  const configure = (...settings: object[]) =>
    control.commit({
      author,
      message: "set the directories",
      change: (current) => ({
        ...current,
        directories: Object.fromEntries(settings.map((each, at) => [`d${at}`, directory.parse({ ...base, ...each })])),
      }),
    });
  let client = 0;
  const logIn = async (user: string, secret: string, fresh = true) => {
    if (fresh) client += 1;
    const remoteAddress = `192.0.2.${client % 250}`;
    return await https.inject({
      method: "POST",
      url: "/api/v1/sessions",
      payload: { user, password: secret },
      remoteAddress,
    });
  };
  const rolesOf = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const { items } = (await https.inject({ url: "/api/v1/farms", headers })).json();
    const answer = await https.inject({ url: "/api/v1/access/me", headers });
    const granted: string[] = (answer.json().permissions ?? []).map((each: { permission: string }) => each.permission);
    return {
      status: answer.statusCode,
      farms: items !== undefined,
      operator: granted.includes("farms:*"),
      auditor: granted.includes("audit:read"),
    };
  };
  const enter = async (user: string, secret: string): Promise<string> => {
    const answer = await logIn(user, secret);
    if (answer.statusCode !== 201) throw new Error(`${user}: ${answer.body}\n${log.slice(-5).join("\n")}`);
    return answer.json().token;
  };
  const admin = { authorization: `Bearer ${await enter("admin", password)}` };
  const tryOut = async (user: string, secret: string, name = "d0") => {
    const url = `/api/v1/access/directories/${name}/test`;
    clock.time += 120_000;
    const answer = await https.inject({ method: "POST", url, headers: admin, payload: { user, password: secret } });
    return answer.json() as {
      accepted: boolean;
      reason: string;
      roles: string[];
      steps: { step: string; server: string; ok: boolean; detail: string }[];
    };
  };
  const stepsOf = ({ steps }: { steps: { step: string; ok: boolean }[] }) =>
    steps.map(({ step, ok }) => (ok ? step : `!${step}`)).join(" ");

  await t.test("groups give roles: found by member, by memberUid, and nested as far as told", async (t) => {
    await configure({});
    t.match(await rolesOf(await enter("anna", passwords.anna)), { operator: true, auditor: true, farms: true });
    // Whatever letters: one account. And a role of the configuration of this moment, not of the login.
    t.match(await rolesOf(await enter("ANNA", passwords.anna)), { operator: true });
    t.match((await logIn("bert", passwords.bert)).json(), { status: 401, detail: /no group of yours has a role/ });
    await configure({ nestedGroups: true });
    t.match(
      await rolesOf(await enter("bert", passwords.bert)),
      { operator: true, auditor: false },
      "web is in network, and the circle ends",
    );
    await configure({ groupLookup: "memberOf" });
    t.match(await rolesOf(await enter("anna", passwords.anna)), { operator: true, auditor: false });
    t.equal((await logIn("bert", passwords.bert)).statusCode, 401);
    await configure({ groupLookup: "memberOf", nestedGroups: true });
    t.match(await rolesOf(await enter("bert", passwords.bert)), { operator: true });
    t.match((await logIn("carl", passwords.carl)).json(), { status: 401, detail: /no group/ }, "no role is no login");
    await configure({ defaultRoles: ["read-only"] });
    t.match(await rolesOf(await enter("carl", passwords.carl)), { status: 200, farms: true, operator: false });
    t.equal(referred.count(), 0, "a referral in the answers is not followed");
  });

  await t.test("users bind themselves by a template, and their sessions end where nobody else may look", async (t) => {
    const template = `uid={user},ou=people,${suffix}`;
    await configure({ userTemplate: template });
    t.match(await rolesOf(await enter("anna", passwords.anna)), { operator: true });
    t.equal((await logIn("anna", "wrong")).statusCode, 401);
    const { bindDn: _dn, bindPassword: _password, ...open } = base;
    await control.commit({
      author,
      message: "no account that searches",
      change: (current) => ({
        ...current,
        directories: {
          d0: directory.parse({
            ...open,
            userTemplate: template,
            groupLookup: "memberOf",
            defaultRoles: ["read-only"],
          }),
        },
      }),
    });
    const own = await enter("carl", passwords.carl);
    clock.time += 4 * 60_000;
    await server.recheckDirectories();
    t.equal((await rolesOf(own)).status, 200);
    clock.time += 60_000;
    await server.recheckDirectories();
    t.equal((await rolesOf(own)).status, 401);
    // The name that binds and the entry that is found are two people: the password must be that of the second too.
    await control.commit({
      author,
      message: "a filter that finds somebody else",
      change: (current) => ({
        ...current,
        directories: {
          d0: directory.parse({
            ...base,
            userTemplate: template,
            userFilter: "(|(&(uid=anna)(!(uid={user})))(uid=nobody-{user}))",
          }),
        },
      }),
    });
    t.equal((await logIn("carl", passwords.carl)).statusCode, 401);
    t.equal(stepsOf(await tryOut("carl", passwords.carl)), "connect tls bind bind search !password");
  });

  await t.test("wrong and empty passwords are refused, and nothing in a name is a filter", async (t) => {
    await configure({});
    for (const secret of ["", "wrong", `${passwords.anna} `, "*"])
      t.equal((await logIn("anna", secret)).statusCode, 401, secret);
    const names = [
      "*",
      "an*",
      "anna)(uid=*",
      "*)(uid=*))(|(uid=*",
      "anna)(|(objectClass=*)",
      "\\61nna",
      "anna\u0000",
      "anna)(&",
      " anna",
      "anna,ou=people",
      "ａnna",
    ];
    for (const name of names) t.equal((await logIn(name, passwords.anna)).statusCode, 401, JSON.stringify(name));
    const asked = await tryOut("anna)(uid=*", passwords.anna);
    t.match(asked, { accepted: false, steps: [] });
  });

  await t.test("a name of a local user is never asked of a directory, and local users need none", async (t) => {
    await configure({ servers: ["ldaps://127.0.0.8"] });
    const before = silent.count();
    t.equal((await logIn("admin", password)).statusCode, 201);
    t.equal((await logIn("admin", "an admin of the directory alone")).statusCode, 401);
    t.equal((await logIn("Admin", "an admin of the directory alone")).statusCode, 401);
    t.equal(silent.count(), before, "the directory, which does not answer, was not asked");
    await configure({});
    t.equal((await logIn("Admin", "an admin of the directory alone")).statusCode, 401);
    t.match(await tryOut("admin", "an admin of the directory alone"), { accepted: false, reason: /local user/ });
  });

  await t.test("a server that does not answer costs its time-out once, then the next is asked first", async (t) => {
    await configure({ servers: ["ldaps://127.0.0.8", "ldaps://127.0.0.1:1", secure] });
    const before = silent.count();
    await enter("anna", passwords.anna);
    t.equal(silent.count(), before + 1);
    await enter("anna", passwords.anna);
    t.equal(silent.count(), before + 1);
    const { steps, accepted } = await tryOut("anna", passwords.anna);
    t.match(steps[0], { server: "ldaps://127.0.0.8", ok: false, detail: /no answer within 1 s/ });
    t.match(steps[1], { server: "ldaps://127.0.0.1:1", step: "connect", ok: false, detail: /ECONNREFUSED/ });
    t.ok(accepted);
    await configure({ servers: ["ldaps://127.0.0.1:1"] }, {});
    await enter("anna", passwords.anna);
  });

  await t.test(
    "TLS: only by an authority that is known, the name that is asked for, or a certificate that is pinned",
    async (t) => {
      await configure({ caCertificates: otherCa });
      t.equal((await logIn("anna", passwords.anna)).statusCode, 401);
      t.equal(stepsOf(await tryOut("anna", passwords.anna)), "!tls");
      await configure({ caCertificates: undefined });
      t.equal(stepsOf(await tryOut("anna", passwords.anna)), "!tls", "nor by the public ones");
      await configure({ serverName: "other.example.com" });
      t.equal(stepsOf(await tryOut("anna", passwords.anna)), "!tls");
      await configure({ serverName: "directory.example.com" });
      t.ok((await tryOut("anna", passwords.anna)).accepted);
      const { stdout } = await run(["openssl", "x509", "-in", files.certificate, "-noout", "-fingerprint", "-sha256"]);
      const pin = stdout.trim().split("=")[1] ?? "";
      await configure({ caCertificates: otherCa, pinnedCertificates: [pin] });
      t.ok((await tryOut("anna", passwords.anna)).accepted);
      await configure({ pinnedCertificates: ["ab".repeat(32)] });
      const wrong = await tryOut("anna", passwords.anna);
      t.match(wrong.steps, [{ step: "tls", ok: false, detail: new RegExp(pin.replaceAll(":", "").toLowerCase()) }]);
      // The same over StartTLS, where the connection begins without.
      await configure({ servers: [plain], pinnedCertificates: ["ab".repeat(32)] });
      t.equal(stepsOf(await tryOut("anna", passwords.anna)), "!tls");
      await configure({ servers: [plain], caCertificates: otherCa });
      t.equal(stepsOf(await tryOut("anna", passwords.anna)), "!tls");
      await configure({ servers: [plain] });
      const upgraded = await tryOut("anna", passwords.anna);
      t.equal(stepsOf(upgraded), "connect tls bind search password bind groups roles");
      t.match(upgraded.steps[1]?.detail, /^starttls, TLSv1\.[23]/);
      await configure({ servers: [plain], allowUnencrypted: true });
      t.equal(stepsOf(await tryOut("anna", passwords.anna)), "connect bind search password bind groups roles");
    },
  );

  await t.test("what is configured wrong is told step by step, without a secret", async (t) => {
    await configure({ bindPassword: "wrong" });
    const refused = await tryOut("anna", passwords.anna);
    t.match(refused, { accepted: false, reason: "no server answered as it should" });
    t.match(refused.steps.at(-1), { step: "bind", ok: false, detail: /refuses cn=steelyard/ });
    await configure({ baseDn: "dc=nowhere" });
    t.equal(stepsOf(await tryOut("anna", passwords.anna)), "connect tls bind !search");
    await configure({ userFilter: "(|(uid={user})(uid=bert))" });
    t.match((await tryOut("anna", passwords.anna)).steps.at(-1)?.detail, /several entries/);
    t.equal((await logIn("anna", passwords.anna)).statusCode, 401);
    await configure({});
    t.match(await tryOut("nobody", "x"), { accepted: false, reason: "there is no such user" });
    const wrong = await tryOut("anna", "a wrong one of anna");
    t.match(wrong, { accepted: false, reason: "wrong password" });
    const shown = await https.inject({ url: "/api/v1/access/directories", headers: admin });
    const { items } = await findRecords((await readAudit(machine.path("/data/audit"))).log, { limit: 1000 });
    const everything = [JSON.stringify([refused, wrong, items]), shown.body, ...log].join("\n");
    for (const secret of [...Object.values(passwords), "a wrong one of anna"])
      t.notOk(everything.includes(secret), secret);
    t.ok(
      items.some(({ operation, object }) => operation === "testDirectory" && object === "access/directories/d0/test"),
    );
  });

  await t.test("whoever loses the group loses the rights, and whoever is gone is logged out", async (t) => {
    await configure({ defaultRoles: ["read-only"] });
    const anna = await enter("anna", passwords.anna);
    const bert = await enter("bert", passwords.bert);
    t.match(await rolesOf(anna), { operator: true });
    await slapd.modify(
      `dn: cn=network,ou=groups,${suffix}\nchangetype: modify\ndelete: member\nmember: uid=anna,ou=people,${suffix}\n`,
    );
    clock.time += 4 * 60_000;
    await server.recheckDirectories();
    t.match(await rolesOf(anna), { operator: true }, "not due yet");
    clock.time += 61_000;
    await server.recheckDirectories();
    t.match(await rolesOf(anna), { status: 200, operator: false, auditor: true });
    await slapd.modify(`dn: uid=bert,ou=people,${suffix}\nchangetype: delete\n`);
    clock.time += 300_000;
    await server.recheckDirectories();
    t.equal((await rolesOf(bert)).status, 401);
    t.equal((await rolesOf(anna)).status, 200);
    // Without a role of any kind there is no session either, and a change of the groups holds at once.
    await configure({ groupRoles: [] });
    await server.recheckDirectories();
    t.equal((await rolesOf(anna)).status, 401);
    const { items } = await findRecords((await readAudit(machine.path("/data/audit"))).log, { limit: 1000 });
    const said = items
      .filter(({ operation }) => /^directory/.test(operation))
      .map(({ user, operation }) => `${user} ${operation}`);
    t.match(said, ["anna directoryLogout", "bert directoryLogout", "anna directoryRoles"]);
  });

  await t.test("a directory that is gone leaves sessions for the time of grace", async (t) => {
    await configure({ defaultRoles: ["read-only"], graceMinutes: 10 });
    const anna = await enter("anna", passwords.anna);
    await slapd.stop();
    t.equal((await logIn("anna", passwords.anna)).statusCode, 401);
    t.equal((await logIn("admin", password)).statusCode, 201);
    clock.time += 6 * 60_000;
    await server.recheckDirectories();
    t.equal((await rolesOf(anna)).status, 200);
    clock.time += 10 * 60_000;
    await server.recheckDirectories();
    t.equal((await rolesOf(anna)).status, 401);
    await slapd.start();
    const again = await enter("anna", passwords.anna);
    await configure({ defaultRoles: ["read-only"], enabled: false });
    t.equal((await rolesOf(again)).status, 401, "a directory that is switched off, at once");
  });

  await t.test("guessing is slowed down whatever letters the name is written in, and can be lifted", async (t) => {
    await configure({ defaultRoles: ["read-only"] });
    clock.time += 2 * 3_600_000;
    const spellings = ["carl", "Carl", "CARL", "cArl"];
    const answers: number[] = [];
    for (let at = 0; at < 12; at += 1) answers.push((await logIn(spellings[at % 4] ?? "", "wrong")).statusCode);
    t.same(answers, [...new Array(11).fill(401), 429]);
    const listed = await https.inject({ url: "/api/v1/access/lockouts", headers: admin });
    t.equal(listed.statusCode, 401, "the administrator's session has ended meanwhile");
    const headers = { authorization: `Bearer ${await enter("admin", password)}` };
    const { items } = (await https.inject({ url: "/api/v1/access/lockouts", headers })).json();
    t.match(items, [{ user: "carl" }]);
    await https.inject({ method: "DELETE", url: "/api/v1/access/lockouts/carl", headers });
    await enter("carl", passwords.carl);
  });

  await t.test(
    "a second factor that a role requires is set up by somebody whom only the directory knows",
    async (t) => {
      await control.commit({
        author,
        message: "require a second factor",
        change: (current) => ({ ...current, access: { ...current.access, secondFactor: { roles: ["read-only"] } } }),
      });
      const asked = await logIn("carl", passwords.carl);
      t.match(asked.json(), { status: 401, code: "second-factor-required" });
      const { challenge } = asked.json();
      const begun = await https.inject({
        method: "POST",
        url: "/api/v1/sessions/second-factor",
        payload: { challenge },
      });
      const { secret } = begun.json();
      clock.time += 30_000;
      const { TOTP, Secret } = await import("otpauth");
      const code = () => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: clock.time });
      const answer = (payload: object) => https.inject({ method: "POST", url: "/api/v1/sessions", payload });
      const { token } = (await answer({ challenge, code: code() })).json();
      t.match(await rolesOf(token), { status: 200, farms: true });
      t.match(control.current().configuration.users.carl, { source: "directory", roles: [], totp: { secret } });
      clock.time += 30_000;
      const next = (await logIn("carl", passwords.carl)).json();
      t.equal((await answer({ challenge: next.challenge, code: code() })).statusCode, 201);
      // A user object of a directory's may be given roles, and be disabled, like any other.
      await control.commit({
        author,
        message: "disable carl",
        change: (current) => ({
          ...current,
          users: { ...current.users, carl: userSchema.parse({ ...current.users.carl, disabled: true }) },
        }),
      });
      t.equal((await rolesOf(token)).status, 401);
      t.match((await logIn("carl", passwords.carl)).json(), { code: "unauthenticated" });
    },
  );

  async function readAudit(path: string) {
    const { openAuditLog } = await import("../src/access/audit/log.ts");
    const { makeLineLog } = await import("../src/adapters/line-log.ts");
    return { log: await openAuditLog(makeLineLog(path), machine) };
  }
}

/** Takes connections and says nothing. */
async function listen(host: string, port: number): Promise<{ server: Server; count(): number }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return { server, count: () => count };
}
