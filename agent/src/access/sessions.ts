import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Machine } from "../adapters/machine.ts";
import type { Account } from "./login.ts";
import type { AccessSettings } from "./schema.ts";

/** Above this the oldest session of whoever has the most ends: a leaking script must not fill the memory, nor log others out. */
const greatestNumber = 1000;
/** Milliseconds between two notes of when a session was used, so that a busy client does not keep the file busy. */
const noteInterval = 60_000;

export type Session = {
  /** Public name, for lists and for ending it; the token cannot be made from it. */
  id: string;
  account: Account;
  /** Whether the token travels in a header or in a browser's cookie; it is good there only. */
  means: "session" | "cookie";
  /** Address it was opened from. */
  source: string;
  opened: Date;
  used: Date;
};

export type Sessions = {
  /** Opens a session and hands out its token, which is kept nowhere. */
  open(account: Account, about: { means: Session["means"]; source: string }): { token: string; session: Session };
  /** The session of a token, its idle time begun anew; undefined when there is none or it has ended. */
  find(token: string, means: Session["means"]): Session | undefined;
  /** Newest first. */
  list(): Session[];
  /** When a session ends at the latest. */
  expiryOf(session: Session): Date;
  close(token: string): void;
  /** Ends the sessions that match, and says how many. */
  closeWhere(matches: (session: Session) => boolean): number;
  /** Puts another account in place of those that match: what a directory says of somebody has changed. */
  updateWhere(matches: (account: Account) => boolean, change: (account: Account) => Account): void;
};

/** A session as it is kept: `digest` is the SHA-256 of the token. */
export type SavedSession = { digest: string; session: Session };

export type SessionOptions = {
  limits(): AccessSettings["sessions"];
  /** Sessions that outlived a restart of the agent. */
  saved?: readonly SavedSession[];
  /** Called when the sessions have changed; it must not throw. */
  save?(sessions: SavedSession[]): void;
};

/**
 * Sessions. A token is 32 random bytes, of which only the SHA-256 is kept, so neither a core dump nor a comparison's timing
 * gives one away. The limits are those of now: a shorter one ends older sessions too.
 */
export function makeSessions(
  { now, randomBytes }: Pick<Machine, "now" | "randomBytes">,
  { limits, saved = [], save = () => {} }: SessionOptions,
): Sessions {
  const sessions = new Map<string, Session>(saved.map(({ digest, session }) => [digest, session]));
  let noted = now().getTime();

  const hasEnded = ({ used, opened }: Session, time: number): boolean => {
    const { idleMinutes, absoluteMinutes } = limits();
    return time >= used.getTime() + idleMinutes * 60_000 || time >= opened.getTime() + absoluteMinutes * 60_000;
  };
  const note = () => {
    noted = now().getTime();
    save([...sessions].map(([digest, session]) => ({ digest, session })));
  };
  const closeWhere = (matches: (session: Session) => boolean): number => {
    const ended = [...sessions].filter(([, session]) => matches(session));
    for (const [key] of ended) sessions.delete(key);
    if (ended.length > 0) note();
    return ended.length;
  };
  const endStale = () => {
    const time = now().getTime();
    for (const [key, session] of sessions) if (hasEnded(session, time)) sessions.delete(key);
  };

  function makeRoom(): void {
    const counts = new Map<string, number>();
    for (const { account } of sessions.values()) counts.set(account.user, (counts.get(account.user) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const found = [...sessions].find(([, { account }]) => counts.get(account.user) === most);
    if (found) sessions.delete(found[0]);
  }

  return {
    open(account, { means, source }) {
      endStale();
      if (sessions.size >= greatestNumber) makeRoom();
      const token = randomBytes(32).toString("base64url");
      const time = now();
      const session: Session = { id: randomBytes(8).toString("hex"), account, means, source, opened: time, used: time };
      sessions.set(digestOf(token), session);
      note();
      return { token, session };
    },
    find(token, means) {
      const key = digestOf(token);
      const session = sessions.get(key);
      if (!session || session.means !== means) return undefined;
      const time = now();
      if (hasEnded(session, time.getTime())) {
        sessions.delete(key);
        note();
        return undefined;
      }
      session.used = time;
      if (time.getTime() >= noted + noteInterval) note();
      return session;
    },
    list() {
      endStale();
      return [...sessions.values()].reverse();
    },
    expiryOf: ({ opened }) => new Date(opened.getTime() + limits().absoluteMinutes * 60_000),
    close(token) {
      if (sessions.delete(digestOf(token))) note();
    },
    closeWhere,
    updateWhere(matches, change) {
      let changed = false;
      for (const session of sessions.values()) {
        if (!matches(session.account)) continue;
        session.account = change(session.account);
        changed = true;
      }
      if (changed) note();
    },
  };
}

export function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

/** What a browser sends in a header besides the cookie: made from the token, so that it is bound to the session. */
export function csrfTokenOf(token: string): string {
  return createHmac("sha256", token).update("steelyard csrf").digest("base64url");
}

export function isCsrfToken(given: string, token: string): boolean {
  const wanted = Buffer.from(csrfTokenOf(token));
  const bytes = Buffer.from(given);
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}
