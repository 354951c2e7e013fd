import { randomBytes } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import t from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { quiet } from "../api/testing.ts";
import type { Account } from "./login.ts";
import { makeSessionWriter, readSessions } from "./session-file.ts";
import { csrfTokenOf, isCsrfToken, makeSessions, type SavedSession } from "./sessions.ts";

const minute = 60_000;
const anna: Account = { user: "anna", source: "local", stamp: "s" };
const about = { means: "session", source: "192.0.2.1" } as const;

function make(options: Partial<Parameters<typeof makeSessions>[1]> = {}) {
  const clock = { time: 0 };
  const limits = { idleMinutes: 30, absoluteMinutes: 720 };
  const now = () => new Date(clock.time);
  const sessions = makeSessions({ now, randomBytes }, { limits: () => limits, ...options });
  return { sessions, clock, limits };
}

t.test("sessions end when idle, at their absolute limit, and when closed", async (t) => {
  const { sessions, clock } = make();
  const { token, session } = sessions.open(anna, about);
  t.match(token, /^[A-Za-z0-9_-]{43}$/);
  t.equal(sessions.expiryOf(session).getTime(), 720 * minute);
  clock.time = 29 * minute;
  t.match(sessions.find(token, "session"), { account: anna, source: "192.0.2.1" });
  clock.time = 58 * minute;
  t.ok(sessions.find(token, "session"), "a request begins the idle time anew");
  clock.time = 88 * minute;
  t.equal(sessions.find(token, "session"), undefined);

  const busy = sessions.open(anna, about).token;
  for (let passed = 0; passed < 719; passed += 20) {
    clock.time += 20 * minute;
    sessions.find(busy, "session");
  }
  t.equal(sessions.find(busy, "session"), undefined, "twelve hours are the end of a busy one too");
  const closed = sessions.open(anna, about).token;
  sessions.close(closed);
  t.equal(sessions.find(closed, "session"), undefined);
});

t.test("a shorter limit ends sessions that are open", async (t) => {
  const { sessions, clock, limits } = make();
  const { token } = sessions.open(anna, about);
  clock.time = 10 * minute;
  limits.idleMinutes = 5;
  t.same(sessions.list(), []);
  t.equal(sessions.find(token, "session"), undefined);
});

t.test("there is room for a thousand sessions; the oldest makes room", async (t) => {
  const { sessions } = make();
  const first = sessions.open(anna, about).token;
  for (let count = 0; count < 1000; count += 1) sessions.open(anna, about);
  t.equal(sessions.find(first, "session"), undefined);
  t.equal(sessions.list().length, 1000);
});

t.test("a token is good only for the way it was made for", async (t) => {
  const { sessions } = make();
  const { token } = sessions.open(anna, { ...about, means: "cookie" });
  t.equal(sessions.find(token, "session"), undefined, "a stolen cookie is no bearer token");
  t.ok(sessions.find(token, "cookie"));
  t.equal(isCsrfToken(csrfTokenOf(token), token), true);
  t.equal(isCsrfToken(csrfTokenOf(`${token}x`), token), false);
  t.equal(isCsrfToken("", token), false);
});

t.test("sessions of a user are ended together", async (t) => {
  const { sessions } = make();
  const tokens = [anna, anna, { ...anna, user: "ben" }].map((account) => sessions.open(account, about).token);
  t.equal(
    sessions.closeWhere(({ account }) => account.user === "anna"),
    2,
  );
  t.same(
    tokens.map((token) => sessions.find(token, "session")?.account.user),
    [undefined, undefined, "ben"],
  );
});

t.test("sessions outlive the agent in a file of hashes, 0600", async (t) => {
  const machine = makeMachine({ root: t.testdir({ run: { steelyard: {} } }), log: quiet });
  const write = makeSessionWriter(machine);
  let last: Promise<void> | undefined;
  const save = (each: SavedSession[]) => {
    last = write(each);
  };
  const before = make({ save });
  const { token } = before.sessions.open({ ...anna, roles: ["operator"] }, about);
  const ended = before.sessions.open(anna, about).token;
  before.sessions.close(ended);
  await last;
  const path = machine.path("/run/steelyard/sessions.json");
  t.equal((await stat(path)).mode & 0o777, 0o600);
  const saved = await readSessions(machine);
  t.notMatch(JSON.stringify(saved), token);
  const after = make({ saved });
  t.match(after.sessions.find(token, "session"), { account: { user: "anna", roles: ["operator"] } });
  t.equal(after.sessions.find(ended, "session"), undefined);

  await writeFile(path, "[{}]");
  t.same(await readSessions(machine), [], "a damaged file means to log in again");
});
