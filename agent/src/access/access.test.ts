import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import t from "tap";
import { password, setUpServer } from "../api/testing.ts";
import { attemptKey, clientAddress } from "./address.ts";
import { decoyHash, hashPassword, verifyPassword } from "./password.ts";
import { checkPassword } from "./password-policy.ts";
import { passwordHash, user } from "./schema.ts";
import { makeThrottle } from "./throttle.ts";

/** The system's own crypt(3), through perl, which every Debian has. */
function crypt(secret: string, setting: string): string | undefined {
  try {
    const script = "binmode STDIN; chomp(my ($p, $s) = <STDIN>); print crypt($p, $s) // '';";
    return execFileSync("perl", ["-e", script], { input: `${secret}\n${setting}\n`, encoding: "utf8" });
  } catch {
    return undefined;
  }
}

t.test("password hashes are those of crypt(3)", async (t) => {
  for (const secret of ["correct horse battery", "päßwörter sind länger", "x".repeat(100)]) {
    const hash = await hashPassword(secret, randomBytes);
    t.ok(passwordHash.safeParse(hash).success, hash);
    t.equal(await verifyPassword(secret, hash), true);
    t.equal(await verifyPassword(`${secret} `, hash), false);
    const theirs = crypt(secret, hash);
    if (theirs) t.equal(theirs, hash, "libxcrypt agrees");
    else t.pass("crypt(3) of this system knows no $7$", { skip: true });
  }
  // Made by libxcrypt 4.4.33: crypt("hello", "$7$CU..../....abcdefgh$"), N = 2^14, r = 32, p = 1.
  t.equal(await verifyPassword("hello", "$7$CU..../....abcdefgh$s5a0tlnh.XzRBeTynH8HoCuKO1Lx8jxWconoaFCjAs2"), true);
  t.equal(await verifyPassword("", decoyHash), false);
  t.ok(passwordHash.safeParse(decoyHash).success);
  await t.rejects(verifyPassword("x", "$6$salt$hash"), { code: "corrupt" });
  await t.rejects(verifyPassword("x", `$7$zzzzzzzzzzz${"a".repeat(32)}$${"a".repeat(43)}`), { code: "corrupt" });
});

t.test("the policy asks for length and refuses what is guessed first", async (t) => {
  t.same(checkPassword("correct horse battery", "admin"), []);
  t.same(checkPassword("短い秘密の言葉は長いほど良い", "admin"), []);
  t.same(checkPassword("short", "admin"), ["expected at least 10 characters"]);
  for (const weak of ["PASSWORD123", "aaaaaaaaaaaa", "AdminAdmin", "1234567890"])
    t.equal(checkPassword(weak, "admin").length > 0, true, weak);
  t.match(checkPassword("administrator", "administrator"), [/user name/, /guessed/]);
  t.equal(checkPassword(`${"x1y2".repeat(70)}!`, "admin").length, 1, "too long");
  for (const weak of ["abc1abc1abc1", "12345123451234", "bcdefghijklmn", "zyxwvutsrqp"])
    t.match(checkPassword(weak, "admin"), [/guessed/], weak);
  t.match(checkPassword("anna1234567", "anna"), [/user name and a few/]);
  t.same(checkPassword("anna likes old bridges", "anna"), []);
  t.match(checkPassword("with\ta tabulator", "admin"), [/control/]);
});

t.test("a client is known by its address, and counted by its network", async (t) => {
  t.equal(clientAddress({ ip: "::ffff:192.0.2.1" }), "192.0.2.1");
  t.equal(clientAddress({ ip: "2001:db8:0::1" }), "2001:db8::1");
  t.equal(clientAddress({ ip: undefined }), "local");
  t.equal(attemptKey("192.0.2.1"), "192.0.2.1");
  t.equal(attemptKey("2001:db8:1:2:3::4"), attemptKey("2001:db8:1:2:ffff::1"));
  t.not(attemptKey("2001:db8:1:2::4"), attemptKey("2001:db8:1:3::4"));
});

t.test("delays grow with each attempt and are forgotten after an hour", async (t) => {
  let time = 0;
  const throttle = makeThrottle({ now: () => new Date(time), free: 2, first: 1000, longest: 4000 });
  const refusedFor = (key: string) => {
    try {
      throttle.attempt(key);
      return 0;
    } catch (error) {
      return (error as { retryAfterSeconds: number }).retryAfterSeconds;
    }
  };
  t.same(
    [1, 2, 3, 4].map(() => refusedFor("a")),
    [0, 0, 0, 1],
  );
  t.equal(refusedFor("b"), 0, "others are not held back");
  for (const wait of [2, 4, 4]) {
    time += 4000;
    t.equal(refusedFor("a"), 0);
    t.equal(refusedFor("a"), wait);
  }
  time += 3_700_000;
  t.same(
    [1, 2, 3].map(() => refusedFor("a")),
    [0, 0, 0],
  );
});

t.test("logging in over HTTPS: right, wrong, too often; out again", async (t) => {
  const { https, control, clock } = await setUpServer(t);
  const logIn = (user: string, secret: string, remoteAddress = "192.0.2.1") =>
    https.inject({ method: "POST", url: "/api/v1/sessions", remoteAddress, payload: { user, password: secret } });
  const get = (authorization?: string) =>
    https.inject({ url: "/api/v1/farms", headers: authorization === undefined ? {} : { authorization } });

  const opened = await logIn("admin", password);
  t.equal(opened.statusCode, 201);
  t.equal(opened.headers["cache-control"], "no-store");
  const { token, expires } = opened.json();
  t.equal(expires, "2026-01-02T15:04:05.000Z");
  const bearer = `Bearer ${token}`;
  t.equal((await get(bearer)).statusCode, 200);
  for (const wrong of [undefined, "Bearer x", `Basic ${token}`, `${bearer}x`]) {
    const refused = await get(wrong);
    t.match(refused.json(), { status: 401, code: "unauthenticated" }, wrong ?? "no token");
    const spent = wrong?.startsWith("Bearer") ? 'Bearer error="invalid_token"' : "Bearer";
    t.equal(refused.headers["www-authenticate"], spent);
  }
  for (const [user, secret] of [
    ["admin", "wrong"],
    ["nobody", password],
    ["constructor", password],
  ] as const)
    t.match((await logIn(user, secret)).json(), { status: 401, detail: "wrong user name or password" }, user);
  t.match((await logIn("admin", "")).json(), { status: 401 });
  t.match((await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user: "admin" } })).json(), {
    problems: [{ path: "password" }],
  });

  const guesses = [];
  for (let count = 0; count < 4; count += 1) guesses.push((await logIn("admin", "guess", "198.51.100.7")).statusCode);
  for (let count = 0; count < 3; count += 1) guesses.push((await logIn("admin", "guess", "198.51.100.7")).statusCode);
  t.same(guesses, [401, 401, 401, 401, 401, 401, 429]);
  const late = await logIn("admin", password, "198.51.100.7");
  t.match(late, { statusCode: 429, headers: { "retry-after": "1" } }, "even with the right password");
  for (let count = 0; count < 8; count += 1) await logIn("admin", "guess", `203.0.113.${count}`);
  t.equal(
    (await logIn("admin", password, "203.0.113.99")).statusCode,
    429,
    "guesses from many places delay a new place",
  );
  t.equal((await logIn("admin", password)).statusCode, 201, "but never the one the operator comes from");
  clock.time += 61_000;
  t.equal((await logIn("admin", password, "203.0.113.99")).statusCode, 201);

  t.equal(
    (await https.inject({ method: "DELETE", url: "/api/v1/sessions", headers: { authorization: bearer } })).statusCode,
    204,
  );
  t.equal((await get(bearer)).statusCode, 401);

  const other = `Bearer ${(await logIn("admin", password)).json().token}`;
  await control.commit({
    author: { user: "admin", source: "console" },
    message: "change the password",
    change: (current) => ({ ...current, users: { admin: user.parse({ passwordHash: decoyHash, roles: ["admin"] }) } }),
  });
  t.match((await get(other)).json(), { status: 401, detail: /password changed/ });
});

t.test("without a password nobody logs in, and the answer says what to do", async (t) => {
  const { server, https } = await setUpServer(t, { withUser: false });
  const answer = await https.inject({
    method: "POST",
    url: "/api/v1/sessions",
    payload: { user: "admin", password: "" },
  });
  t.match(answer.json(), { status: 503, code: "not-ready", detail: /console/ });
  t.equal((await server.local.inject("/api/v1/farms")).statusCode, 200, "the local socket needs none");
});

t.test("every route declares the permission it needs, and one that does not is refused", async (t) => {
  const { https } = await setUpServer(t);
  const open = https.knownRoutes.filter(({ permission }) => permission === "public");
  t.same(open.map(({ method, url }) => `${method} ${url}`).sort(), [
    "GET /api/v1/openapi.json",
    "GET /api/v1/reference",
    "GET /api/v1/reference/:file",
    "HEAD /api/v1/openapi.json",
    "HEAD /api/v1/reference",
    "HEAD /api/v1/reference/:file",
    "POST /api/v1/sessions",
    "POST /api/v1/sessions/second-factor",
  ]);
  for (const { method, url, permission } of https.knownRoutes) {
    if (permission === "public") continue;
    t.match(
      permission,
      /^[a-z]+:(?:read|create|update|delete|commit|import|download|upload|restore|reset|seal)$/,
      `${method} ${url}`,
    );
    const path = url.replace(":generation", "1").replace(/:\w+/g, "x");
    const answer = await https.inject({
      method: method as "GET",
      url: path,
      ...(method === "POST" ? { payload: {} } : {}),
    });
    t.equal(answer.statusCode, 401, `${method} ${url} without a login`);
  }
});
