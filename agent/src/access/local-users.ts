import type { Machine } from "../adapters/machine.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import type { Authenticator } from "./login.ts";
import { decoyHash, verifyPassword } from "./password.ts";
import { findUser, isActive, stampOf } from "./rights.ts";
import { TooManyRequests } from "./throttle.ts";

/** One check takes 32 MiB, so few run at a time and few wait. */
const greatestAtATime = 2;
const greatestWaiting = 16;

/**
 * The first authenticator: users of the configuration whose source is `local`. It spends the same time on a name it does not
 * know, a user without a password, and a disabled one.
 */
export function makeLocalUsers(
  control: Pick<ConfigurationControl, "current">,
  { now }: Pick<Machine, "now">,
): Authenticator {
  const limit = makeLimit(greatestAtATime, greatestWaiting);
  const hashes = () =>
    Object.values(control.current().configuration.users).flatMap(({ passwordHash }) => passwordHash ?? []);
  return {
    name: "local",
    isReady: () => hashes().length > 0,
    async authenticate({ user: name, password }) {
      const user = findUser(control.current().configuration, name);
      const hash = user?.source === "local" ? user.passwordHash : undefined;
      // Hashes of other settings take another time, so a stranger is measured against one of the box's own.
      const right = await limit(() => verifyPassword(password, hash ?? hashes()[0] ?? decoyHash));
      if (user?.source !== "local") return { verdict: "unknown" };
      if (!right || hash === undefined || !isActive(user, now())) return { verdict: "refused" };
      return { verdict: "accepted", account: { user: name, source: "local", stamp: stampOf(user) } };
    },
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
