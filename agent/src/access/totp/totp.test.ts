import { randomBytes } from "node:crypto";
import { Secret, TOTP } from "otpauth";
import t, { type Test } from "tap";
import { password, setUpServer } from "../../api/testing.ts";
import { verifyAccess } from "../verify.ts";
import { findStep, hashRecoveryCode, makeRecoveryCodes, makeSecret, makeUri } from "./codes.ts";

/** RFC 6238, appendix B: seconds and the code of SHA-1, of which six digits are the end. */
const vectors: [number, string][] = [
  [59, "94287082"],
  [1111111109, "07081804"],
  [1111111111, "14050471"],
  [1234567890, "89005924"],
  [2000000000, "69279037"],
  [20000000000, "65353130"],
];
const vectorSecret = Secret.fromUTF8("12345678901234567890").base32;

const codeAt = (secret: string, time: number) =>
  new TOTP({ secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: 30 }).generate({
    timestamp: time,
  });

t.test("codes are those of RFC 6238", async (t) => {
  for (const [seconds, code] of vectors)
    t.equal(findStep(vectorSecret, code.slice(2), new Date(seconds * 1000)), Math.floor(seconds / 30), code);
});

t.test("a code is good one step early and one step late", async (t) => {
  const secret = makeSecret(randomBytes);
  t.match(secret, /^[A-Z2-7]{32}$/, "160 bits");
  const code = codeAt(secret, 600_000);
  const found = [-60, -30, 0, 30, 60].map((late) => findStep(secret, code, new Date(600_000 + late * 1000)));
  t.same(found, [undefined, 20, 20, 20, undefined]);
  for (const wrong of ["", "12345", "1234567", "abcdef", "１２３４５６"])
    t.equal(findStep(secret, wrong, new Date(0)), undefined);
  t.match(makeUri(vectorSecret, "anna", "lb1"), /^otpauth:\/\/totp\/lb1:anna\?.*secret=GEZDGNBVGY3TQOJQ/);
});

t.test("recovery codes are long, different, and kept as hashes", async (t) => {
  const codes = makeRecoveryCodes(randomBytes);
  t.equal(new Set(codes).size, 10);
  for (const code of codes) t.match(code, /^(?:[a-z2-7]{4}-){3}[a-z2-7]{4}$/);
  const [code = ""] = codes;
  t.equal(hashRecoveryCode(code), hashRecoveryCode(code.toUpperCase().replaceAll("-", " ")));
});

async function setUp(t: Test) {
  const box = await setUpServer(t);
  const { https, clock } = box;
  const post = async (url: string, payload: object, token?: string) =>
    await https.inject({
      method: "POST",
      url: `/api/v1${url}`,
      ...(Object.keys(payload).length > 0 ? { payload } : {}),
      ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
    });
  const start = async () => await post("/sessions", { user: "admin", password });
  const answer = async (code: string) => await post("/sessions", { challenge: (await start()).json().challenge, code });
  const pass = (seconds: number) => {
    clock.time += seconds * 1000;
  };
  pass(60);
  return { ...box, post, start, answer, pass };
}

t.test("a second factor is set up, asked for, and good once", async (t) => {
  const { post, start, answer, pass, clock, https, control, server } = await setUp(t);
  const { token } = (await start()).json();
  const begun = (await post("/access/me/second-factor", {}, token)).json();
  t.match(begun, { uri: /^otpauth:/, svg: /^<svg/, text: /█/ });
  t.equal((await post("/access/me/second-factor/confirm", { code: "000000" }, token)).statusCode, 403);
  t.equal((await start()).statusCode, 201, "nothing is asked for before it is confirmed");
  const confirmed = await post("/access/me/second-factor/confirm", { code: codeAt(begun.secret, clock.time) }, token);
  t.equal(confirmed.statusCode, 200, confirmed.body);
  const { recoveryCodes } = confirmed.json();
  t.equal(recoveryCodes.length, 10);

  t.match((await start()).json(), { code: "second-factor-required", factors: ["totp"] });
  t.equal((await answer(codeAt(begun.secret, clock.time))).statusCode, 401, "the code of the set-up has been used");
  pass(30);
  const code = codeAt(begun.secret, clock.time);
  const first = await answer(code);
  t.equal(first.statusCode, 201, first.body);
  t.equal((await answer(code)).statusCode, 401, "a replay");
  pass(600);
  t.equal((await answer(recoveryCodes[0])).statusCode, 201, "a recovery code");
  t.equal((await answer(recoveryCodes[0])).statusCode, 401, "which is good once too");
  pass(600);
  const state = await https.inject({
    url: "/api/v1/access/me/second-factor",
    headers: { authorization: `Bearer ${first.json().token}` },
  });
  t.same(state.json(), { enabled: true, recoveryCodes: 9 });

  const shown = JSON.stringify([
    (await server.local.inject("/api/v1/access/users")).json(),
    (await server.local.inject("/api/v1/configuration")).json(),
    await control.diff(0, control.current().generation),
    (await server.local.inject("/api/v1/access/audit?limit=1000")).body,
  ]);
  for (const secret of [begun.secret, code, ...recoveryCodes, hashRecoveryCode(recoveryCodes[1])])
    t.notOk(shown.includes(secret), "no secret is shown");

  const ended = await post(
    "/access/me/second-factor/end",
    { code: codeAt(begun.secret, clock.time) },
    first.json().token,
  );
  t.equal(ended.statusCode, 204, ended.body);
  t.equal((await start()).statusCode, 201);
});

t.test(
  "a dry run takes no code, guessing in a session is slow, and a used recovery code does not come back",
  async (t) => {
    const { post, start, answer, pass, clock, control } = await setUp(t);
    const { token } = (await start()).json();
    const own = "/access/me/second-factor";
    const { secret } = (await post(own, {}, token)).json();
    const now = () => ({ code: codeAt(secret, clock.time) });
    const tried = await post(`${own}/confirm?dryRun=true`, now(), token);
    t.match(tried.json(), { differences: [{ object: "access/users/admin" }] });
    t.equal(tried.json().recoveryCodes, undefined);
    t.equal(control.current().configuration.users.admin?.totp, undefined);
    const { recoveryCodes } = (await post(`${own}/confirm`, now(), token)).json();
    t.equal(recoveryCodes.length, 10, "the code is good after the dry run");
    const { generation } = control.current();

    pass(60);
    const logged = (await answer(recoveryCodes[0])).json();
    t.equal((await post(`${own}/end?dryRun=true`, now(), logged.token)).statusCode, 200);
    t.equal((await post(`${own}/end?dryRun=true`, { code: recoveryCodes[1] }, logged.token)).statusCode, 200);
    t.equal(control.current().configuration.users.admin?.totp?.recoveryCodes.length, 9, "no code was taken");
    const statuses: number[] = [];
    for (let count = 0; count < 8; count += 1)
      statuses.push((await post(`${own}/end`, { code: "000000" }, logged.token)).statusCode);
    t.same(statuses, [403, 403, 403, 403, 403, 403, 429, 429]);

    pass(600);
    const back = await post("/configuration/rollback", { generation }, logged.token);
    t.equal(back.statusCode, 200, back.body);
    pass(600);
    t.equal((await answer(recoveryCodes[0])).statusCode, 401, "used before what was rolled back");
    t.equal((await answer(recoveryCodes[1])).statusCode, 201);
  },
);

t.test("a role can require it, and an administrator can reset it", async (t) => {
  const { post, start, answer, pass, clock, server, control } = await setUp(t);
  const patch = await server.local.inject({
    method: "PATCH",
    url: "/api/v1/access/settings",
    payload: { secondFactor: { roles: ["admin"] } },
  });
  t.equal(patch.statusCode, 200, patch.body);
  const { challenge } = (await start()).json();
  t.equal((await post("/sessions", { challenge, code: "000000" })).statusCode, 401);
  const begun = (await post("/sessions/second-factor", { challenge })).json();
  const login = await post("/sessions", { challenge, code: codeAt(begun.secret, clock.time) });
  t.equal(login.statusCode, 201, login.body);
  t.equal((await post("/sessions/second-factor", { challenge })).statusCode, 401, "the challenge has ended");
  const again = (await start()).json().challenge;
  t.equal(
    (await post("/sessions/second-factor", { challenge: again })).statusCode,
    409,
    "nobody replaces one by the password alone",
  );
  pass(30);
  t.equal((await answer(codeAt(begun.secret, clock.time))).statusCode, 201);

  const reset = { method: "DELETE", url: "/api/v1/access/users/admin/second-factor" } as const;
  t.equal((await server.local.inject(reset)).statusCode, 204);
  t.equal((await server.local.inject(reset)).statusCode, 404);
  const { configuration } = control.current();
  const access = { ...configuration.access, secondFactor: { roles: ["nobody-has-this"] } };
  t.match(verifyAccess({ ...configuration, access }), [{ path: "access.secondFactor.roles.0" }]);
});
