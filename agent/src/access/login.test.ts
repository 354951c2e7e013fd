import { randomBytes } from "node:crypto";
import t from "tap";
import { quiet, setUpServer } from "../api/testing.ts";
import { type Account, type Authenticator, type LoginEvent, makeLogin, type SecondFactor } from "./login.ts";

const anna: Account = { user: "anna", source: "local", stamp: "1" };

/** Knows one user by one password. */
const one = (name: string, account: Account, secret: string): Authenticator => ({
  name,
  isReady: () => true,
  authenticate: async ({ user, password }) => {
    if (user !== account.user) return { verdict: "unknown" };
    return password === secret ? { verdict: "accepted", account } : { verdict: "refused" };
  },
});
const code: SecondFactor = {
  name: "totp",
  isWanted: ({ user }) => user === "anna",
  check: async (_account, given) => given === "123456",
};

function make(options: Partial<Parameters<typeof makeLogin>[0]> = {}) {
  const clock = { time: 0 };
  const events: LoginEvent[] = [];
  const state = { current: true };
  const login = makeLogin(
    {
      authenticators: [one("local", anna, "right")],
      isKnown: (user) => user === "anna",
      isCurrent: () => state.current,
      onEvent: (event) => void events.push(event),
      ...options,
    },
    { now: () => new Date(clock.time), randomBytes, log: quiet },
  );
  return { login, clock, events, state };
}

t.test("authenticators are asked in order; one that knows the user has the last word", async (t) => {
  const dora: Account = { user: "dora", source: "directory", stamp: "directory", roles: ["operator"] };
  const broken: Authenticator = {
    ...one("broken", dora, ""),
    authenticate: () => Promise.reject(new Error("timeout")),
  };
  const authenticators = [one("local", anna, "right"), broken, one("directory", dora, "d"), one("late", anna, "other")];
  const { login, events } = make({ authenticators });
  t.same(await login.start({ user: "anna", password: "right" }, "192.0.2.1"), anna);
  t.same(await login.start({ user: "dora", password: "d" }, "192.0.2.1"), dora, "one out of reach is passed over");
  await t.rejects(login.start({ user: "anna", password: "other" }, "192.0.2.1"), { code: "unauthenticated" });
  await t.rejects(login.start({ user: "eve", password: "x" }, "192.0.2.1"), { message: "wrong user name or password" });
  t.same(events, [
    { outcome: "accepted", user: "anna", source: "192.0.2.1", by: "local" },
    { outcome: "accepted", user: "dora", source: "192.0.2.1", by: "directory" },
    { outcome: "refused", user: "anna", source: "192.0.2.1", by: "local" },
    { outcome: "refused", user: "eve", source: "192.0.2.1" },
  ]);
});

t.test("a second factor is asked for after the password, with a challenge that is good once", async (t) => {
  const { login, clock, events, state } = make({ secondFactors: [code] });
  const challenge = async () => {
    const error = await login.start({ user: "anna", password: "right" }, "192.0.2.1").catch((thrown) => thrown);
    t.match(error, { code: "second-factor-required", factors: ["totp"], expiresInSeconds: 300 });
    return error.challenge as string;
  };
  const first = await challenge();
  await t.rejects(login.answer({ challenge: first, code: "000000" }, "192.0.2.1"), { message: "wrong code" });
  t.same(await login.answer({ challenge: first, code: "123456" }, "192.0.2.1"), anna);
  await t.rejects(login.answer({ challenge: first, code: "123456" }, "192.0.2.1"), { message: /has ended/ });
  t.same(
    events.map(({ outcome }) => outcome),
    ["second-factor-wanted", "second-factor-refused", "accepted"],
  );

  const late = await challenge();
  clock.time += 301_000;
  await t.rejects(login.answer({ challenge: late, code: "123456" }, "192.0.2.1"), { message: /has ended/ });
  const changed = await challenge();
  state.current = false;
  await t.rejects(login.answer({ challenge: changed, code: "123456" }, "192.0.2.1"), { message: /has ended/ });
  state.current = true;
  clock.time += 3_700_000;
  const guessed = await challenge();
  for (const guess of ["1", "2", "3", "4", "5"]) {
    clock.time += 301_000 / 6;
    await t.rejects(login.answer({ challenge: guessed, code: guess }, "192.0.2.1"), { message: "wrong code" });
  }
  await t.rejects(
    login.answer({ challenge: guessed, code: "123456" }, "192.0.2.1"),
    { message: /has ended/ },
    "five wrong codes end it",
  );
});

t.test("a user who has to wait is listed and can be unlocked; invented names cannot push the count out", async (t) => {
  const { login } = make();
  const guess = (user: string, place: number) =>
    login.start({ user, password: "x" }, `2001:db8:${place.toString(16)}::1`).catch(({ code }) => code);
  for (let count = 0; count < 11; count += 1) t.equal(await guess("anna", count), "unauthenticated");
  t.equal(await guess("anna", 100), "too-many-requests");
  for (let count = 0; count < 12_000; count += 1) await guess(`name${count}`, count % 60_000);
  t.match(login.listLockouts(), [{ key: "anna", attempts: 11 }]);
  login.unlock("anna");
  t.same(login.listLockouts(), []);
  t.equal(await guess("anna", 101), "unauthenticated");
});

t.test("a neighbour who logs in between the tries guesses no faster, at a place the user is known at", async (t) => {
  const eve: Account = { user: "eve", source: "local", stamp: "2" };
  const { login, clock } = make({
    authenticators: [one("local", anna, "right"), one("local", eve, "own")],
    isKnown: (user) => ["anna", "eve"].includes(user),
  });
  const place = "192.0.2.1";
  await login.start({ user: "anna", password: "right" }, place);
  const outcomes: string[] = [];
  for (let count = 0; count < 20; count += 1) {
    if (count % 4 === 0) await login.start({ user: "eve", password: "own" }, place);
    outcomes.push(await login.start({ user: "anna", password: "x" }, place).catch(({ code }) => code));
  }
  t.same(outcomes.slice(0, 11), Array(11).fill("unauthenticated"));
  t.same([...new Set(outcomes.slice(11))], ["too-many-requests"], "the tries at anna are counted through");
  t.match(login.listLockouts(), [{ key: "anna" }]);
  t.same(await login.start({ user: "anna", password: "right" }, "192.0.2.9"), anna, "elsewhere anna is not held back");
  login.unlock("anna");
  t.same(await login.start({ user: "anna", password: "right" }, place), anna);
  clock.time += 1;
});

t.test("over HTTPS the challenge comes with 401 and is answered on the same address", async (t) => {
  const { https } = await setUpServer(t, { secondFactors: [{ ...code, isWanted: () => true }] });
  const post = (payload: object) => https.inject({ method: "POST", url: "/api/v1/sessions", payload });
  const asked = await post({ user: "admin", password: "correct horse battery" });
  t.match(asked.json(), { status: 401, code: "second-factor-required", factors: ["totp"], expiresInSeconds: 300 });
  const { challenge } = asked.json();
  t.match((await post({ challenge, code: "000000" })).json(), { status: 401, code: "unauthenticated" });
  const { token } = (await post({ challenge, code: "123456" })).json();
  const answer = await https.inject({ url: "/api/v1/farms", headers: { authorization: `Bearer ${token}` } });
  t.equal(answer.statusCode, 200);
  t.match((await post({ challenge, password: "x" })).statusCode, 400);
});
