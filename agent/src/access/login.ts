import type { Machine } from "../adapters/machine.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import { SteelyardError } from "../errors.ts";
import { attemptKey } from "./address.ts";
import { decoyHash, verifyPassword } from "./password.ts";
import type { Sessions } from "./sessions.ts";
import { makeThrottle, TooManyRequests } from "./throttle.ts";

export type Login = (credentials: { user: string; password: string }, source: string) => Promise<LoginResult>;
export type LoginResult = { token: string; expires: Date };

/** One check takes 32 MiB, so few run at a time and few wait. */
const greatestAtATime = 2;
const greatestWaiting = 16;
const greatestKnownPlaces = 1000;

/**
 * Login by password, slow to guess at: delays grow per address from the 6th failure (1 s to 5 min) and per user from the
 * 11th (1 s to 1 min). The delay per user does not hold back an address that user has logged in from before, so that nobody
 * can lock the operator out by guessing.
 *
 * Throws `unauthenticated` for a wrong password and an unknown user alike, in equal time; `too-many-requests`; `not-ready`
 * while no user has a password.
 */
export function makeLogin(control: ConfigurationControl, sessions: Sessions, { now }: Pick<Machine, "now">): Login {
  const perAddress = makeThrottle({ now, free: 5, first: 1000, longest: 300_000 });
  const perUser = makeThrottle({ now, free: 10, first: 1000, longest: 60_000 });
  const knownPlaces = new Set<string>();
  const limit = makeLimit(greatestAtATime, greatestWaiting);

  return async ({ user, password }, source) => {
    const { users } = control.current().configuration;
    const hashes = Object.values(users).flatMap(({ passwordHash }) => passwordHash ?? []);
    if (hashes.length === 0)
      throw new SteelyardError(
        "not-ready",
        "no user has a password yet: set one on the console, or log in there by key",
      );

    const key = attemptKey(source);
    const place = `${user} ${key}`;
    perAddress.attempt(key);
    if (!knownPlaces.has(place)) perUser.attempt(user);
    const hash = Object.hasOwn(users, user) ? users[user]?.passwordHash : undefined;
    // An unknown user costs as much time as a known one: hashes of other settings take another time, so one of the box's own.
    const right = await limit(() => verifyPassword(password, hash ?? hashes[0] ?? decoyHash));
    if (!right || hash === undefined) throw new SteelyardError("unauthenticated", "wrong user name or password");

    perAddress.forgive(key);
    perUser.forgive(user);
    if (knownPlaces.size >= greatestKnownPlaces) knownPlaces.clear();
    knownPlaces.add(place);
    return sessions.open(user, hash);
  };
}

/** Runs so many tasks at a time, lets so many wait, and refuses the rest. */
function makeLimit(atATime: number, waiting: number) {
  let running = 0;
  const queue: (() => void)[] = [];
  return async <Result>(task: () => Promise<Result>): Promise<Result> => {
    if (running >= atATime) {
      if (queue.length >= waiting) throw new TooManyRequests(5);
      await new Promise<void>((resolve) => queue.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await task();
    } finally {
      // The place goes straight to the next in the queue, or is free.
      const next = queue.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
