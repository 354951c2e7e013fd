import { createHash } from "node:crypto";
import type { Machine } from "../adapters/machine.ts";

const idleMilliseconds = 30 * 60_000;
const absoluteMilliseconds = 12 * 3_600_000;
/** Above this the oldest session ends: a leaking script must not fill the memory. */
const greatestNumber = 1000;

export type Session = {
  user: string;
  /** The password hash the session was opened with: a session does not outlive a change of password. */
  credential: string;
  expires: Date;
};

export type Sessions = {
  /** Opens a session and hands out its token, which is kept nowhere. */
  open(user: string, credential: string): { token: string; expires: Date };
  /** The session of a token, its idle time begun anew; undefined when there is none or it has ended. */
  find(token: string): Session | undefined;
  close(token: string): void;
};

/**
 * Sessions in memory: they end with the agent. A token is 32 random bytes, of which only the SHA-256 is kept, so neither a
 * core dump nor a comparison's timing gives one away. They end after 30 minutes without a request, and after 12 hours.
 */
export function makeSessions({ now, randomBytes }: Pick<Machine, "now" | "randomBytes">): Sessions {
  const sessions = new Map<string, Session & { idleUntil: number }>();

  const endStale = (time: number) => {
    for (const [key, session] of sessions) {
      if (hasEnded(session, time)) sessions.delete(key);
    }
  };

  return {
    open(user, credential) {
      const time = now().getTime();
      endStale(time);
      const [oldest] = sessions.keys();
      if (sessions.size >= greatestNumber && oldest !== undefined) sessions.delete(oldest);
      const token = randomBytes(32).toString("base64url");
      const expires = new Date(time + absoluteMilliseconds);
      sessions.set(digest(token), { user, credential, expires, idleUntil: time + idleMilliseconds });
      return { token, expires };
    },
    find(token) {
      const key = digest(token);
      const session = sessions.get(key);
      if (!session) return undefined;
      const time = now().getTime();
      if (hasEnded(session, time)) {
        sessions.delete(key);
        return undefined;
      }
      session.idleUntil = time + idleMilliseconds;
      return session;
    },
    close(token) {
      sessions.delete(digest(token));
    },
  };
}

function hasEnded({ expires, idleUntil }: { expires: Date; idleUntil: number }, time: number): boolean {
  return time >= idleUntil || time >= expires.getTime();
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
