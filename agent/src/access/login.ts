import { createHash } from "node:crypto";
import type { Machine } from "../adapters/machine.ts";
import { SteelyardError } from "../errors.ts";
import { attemptKey } from "./address.ts";
import { makeChallenges, SecondFactorRequired } from "./challenges.ts";
import { makeThrottle, type Throttled } from "./throttle.ts";

/**
 * Logging in: a chain of authenticators asks who knows the user, then the second factors ask for more, and only what passed
 * both is an account. Each part is a value of a type below, so a directory or TOTP joins without a change here.
 */

export type Credentials = { user: string; password: string };

/** Whom a login has proved the caller to be: what a session is opened for. */
export type Account = {
  user: string;
  source: "local" | "directory";
  /** A session ends when this is not that of the user any more: see `stampOf` in rights.ts. */
  stamp: string;
  /** Roles that a directory gives, in addition to those of the user object when there is one. */
  roles?: readonly string[];
  /** The directory that gave them, and when it was last asked (RFC 3339). */
  directory?: { name: string; checked: string };
};

/**
 * `refused`: I know this user, and this is not the password; nobody else is asked. `unknown`: ask the next. `user` is the name
 * as it is kept, where it differs from what was typed; `reason` is for somebody whose password was right.
 */
export type Verdict =
  | { verdict: "accepted"; account: Account }
  | { verdict: "refused"; user?: string; reason?: string }
  | { verdict: "unknown" };

/** Checks a name and a password. Throws when it cannot tell, such as a directory out of reach: then the next is asked. */
export type Authenticator = {
  name: string;
  /** False while it could accept nobody at all; when all of them say so, the answer is `not-ready`. */
  isReady(): boolean;
  authenticate(credentials: Credentials): Promise<Verdict>;
};

/** Something to ask for after the password, such as a code of TOTP. */
export type SecondFactor = {
  /** Shown to the client, which knows by it what to ask for: `totp`. */
  name: string;
  isWanted(account: Account): boolean | Promise<boolean>;
  /** Called with what the client sent as `code`. A code must not be good twice: that is the factor's own concern. */
  check(account: Account, code: string): Promise<boolean>;
};

/** For the audit log: what became of an attempt. No password and no code is in it. */
export type LoginEvent = {
  outcome: "accepted" | "refused" | "second-factor-wanted" | "second-factor-refused" | "delayed";
  user: string;
  source: string;
  /** The authenticator or second factor that said so. */
  by?: string;
};

/** A wrong password or a wrong code. `user` is the name of somebody that is known, or empty: for the audit log alone. */
export class LoginRefused extends SteelyardError {
  readonly user: string;

  constructor(message: string, user: string) {
    super("unauthenticated", message);
    this.user = user;
  }
}

export type Login = {
  /**
   * The first step. Throws `unauthenticated` for a wrong password and an unknown user alike, {@link SecondFactorRequired}
   * with the challenge for {@link answer}, `too-many-requests`, or `not-ready` while nobody could log in.
   */
  start(credentials: Credentials, source: string): Promise<Account>;
  /** The second step: the code for a challenge. Throws `unauthenticated`, `too-many-requests`. */
  answer(given: { challenge: string; code: string }, source: string): Promise<Account>;
  /** Whose password was right for a challenge that is open; undefined when there is none. */
  accountOf(challenge: string): Account | undefined;
  /** Users that have to wait now. */
  listLockouts(): Throttled[];
  /** Lets a user try again at once. */
  unlock(user: string): void;
};

export type LoginOptions = {
  authenticators: readonly Authenticator[];
  secondFactors?: readonly SecondFactor[];
  /** True for a name that stands in the configuration. */
  isKnown(user: string): boolean;
  /** True while the account is what it was: asked between the two steps. */
  isCurrent(account: Account): boolean;
  onEvent?(event: LoginEvent): void;
};

const greatestKnownPlaces = 1000;
/** Names nobody has share this many counters, so that inventing names cannot push the counter of a real one out of memory. */
const strangerCounters = 1024;

/**
 * A login, slow to guess at: delays grow per address from the 6th attempt (1 s to 5 min) and per user from the 11th (1 s to
 * 1 min). An address that a user has logged in from before has a count of its own for that user, so that nobody elsewhere can
 * lock the operator out by guessing, nor a neighbour there guess for nothing by logging in himself between the tries. The counts are in memory, bounded, and gone with the agent.
 */
export function makeLogin(options: LoginOptions, machine: Pick<Machine, "now" | "randomBytes" | "log">): Login {
  const { authenticators, secondFactors = [], isKnown, isCurrent, onEvent = () => {} } = options;
  const perAddress = makeThrottle({ now: machine.now, free: 5, first: 1000, longest: 300_000 });
  const perUser = makeThrottle({ now: machine.now, free: 10, first: 1000, longest: 60_000 });
  const perPlace = makeThrottle({ now: machine.now, free: 10, first: 1000, longest: 60_000 });
  const challenges = makeChallenges<Account>(machine);
  const knownPlaces = new Set<string>();

  const placeOf = (user: string, source: string) => `${user} ${attemptKey(source)}`;
  // An address has no blank in it, whatever a name has.
  const userOfPlace = (place: string) => place.slice(0, place.lastIndexOf(" "));
  /** Whom a directory has known, as far as it has been asked: for the list of those who have to wait. */
  const seen = new Set<string>();
  const isSeen = (user: string) => isKnown(user) || seen.has(user);
  // In small letters, as a directory compares: every spelling of a name is one name, or each would have tries of its own.
  const userKey = (user: string) => {
    const name = isKnown(user) ? user : user.toLowerCase();
    return isSeen(name) ? name : `? ${bucketOf(name)}`;
  };

  function count(user: string, source: string): void {
    try {
      perAddress.attempt(attemptKey(source));
      const place = [placeOf(user, source), placeOf(user.toLowerCase(), source)].find((each) => knownPlaces.has(each));
      if (place === undefined) perUser.attempt(userKey(user));
      else perPlace.attempt(place);
    } catch (error) {
      onEvent({ outcome: "delayed", user, source });
      throw error;
    }
  }

  function accept(account: Account, source: string, by: string): Account {
    perAddress.forgive(attemptKey(source));
    perUser.forgive(userKey(account.user));
    perPlace.forgive(placeOf(account.user, source));
    if (knownPlaces.size >= greatestKnownPlaces) knownPlaces.clear();
    knownPlaces.add(placeOf(account.user, source));
    onEvent({ outcome: "accepted", user: account.user, source, by });
    return account;
  }

  /** The tries so far were counted under a number; from now on they count under the name. */
  function remember(user: string): void {
    if (isSeen(user)) return;
    const tries = perUser.find(userKey(user));
    if (seen.size >= greatestKnownPlaces) seen.clear();
    seen.add(user);
    if (tries) perUser.put(user, tries);
  }

  async function ask(credentials: Credentials): Promise<{ verdict: Verdict; by?: string }> {
    for (const { name, authenticate } of authenticators) {
      try {
        const verdict = await authenticate(credentials);
        if (verdict.verdict === "refused" && verdict.user !== undefined) remember(verdict.user);
        if (verdict.verdict === "accepted") remember(verdict.account.user);
        if (verdict.verdict !== "unknown") return { verdict, by: name };
      } catch (error) {
        // What the box itself refuses (too many at a time) is the answer; a directory out of reach is a reason to go on.
        if (error instanceof SteelyardError && error.code !== "not-ready") throw error;
        machine.log.warn(`login: ${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return { verdict: { verdict: "unknown" } };
  }

  return {
    async start(credentials, source) {
      if (!authenticators.some((each) => each.isReady()))
        throw new SteelyardError(
          "not-ready",
          "no user has a password yet: set one on the console, or log in there by key",
        );
      const { user } = credentials;
      count(user, source);
      const { verdict, by = "" } = await ask(credentials);
      if (verdict.verdict !== "accepted") {
        const { reason = "wrong user name or password", user: name = user } =
          verdict.verdict === "refused" ? verdict : {};
        onEvent({ outcome: "refused", user: name, source, ...(by === "" ? {} : { by }) });
        throw new LoginRefused(reason, by === "" ? "" : name);
      }
      const { account } = verdict;
      const wanted = [];
      for (const factor of secondFactors) if (await factor.isWanted(account)) wanted.push(factor.name);
      if (wanted.length === 0) return accept(account, source, by);
      onEvent({ outcome: "second-factor-wanted", user, source, by });
      throw new SecondFactorRequired(challenges.open(account), wanted);
    },

    async answer({ challenge, code }, source) {
      const account = challenges.attempt(challenge);
      if (!account || !isCurrent(account))
        throw new SteelyardError("unauthenticated", "the challenge has ended: log in again");
      count(account.user, source);
      for (const factor of secondFactors) {
        if (!(await factor.isWanted(account)) || !(await factor.check(account, code))) continue;
        challenges.close(challenge);
        return accept(account, source, factor.name);
      }
      onEvent({ outcome: "second-factor-refused", user: account.user, source });
      throw new LoginRefused("wrong code", account.user);
    },

    accountOf: (challenge) => {
      const account = challenges.find(challenge);
      return account && isCurrent(account) ? account : undefined;
    },

    listLockouts() {
      const users = perUser.list().filter(({ key }) => isSeen(key));
      const places = perPlace.list().map(({ key, ...rest }) => ({ ...rest, key: userOfPlace(key) }));
      return [...users, ...places.filter(({ key }) => !users.some((each) => each.key === key))];
    },
    unlock(user) {
      perUser.forgive(userKey(user));
      for (const { key } of perPlace.list()) if (userOfPlace(key) === user) perPlace.forgive(key);
    },
  };
}

function bucketOf(user: string): number {
  return createHash("sha256").update(user).digest().readUInt32BE() % strangerCounters;
}
