import type { Machine } from "../../adapters/machine.ts";
import type { Author, CommitResult, ConfigurationControl } from "../../commit/control.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { SteelyardError } from "../../errors.ts";
import type { Account, SecondFactor } from "../login.ts";
import { currentRoles } from "../principal.ts";
import { findUser } from "../rights.ts";
import { type User, userName, user as userSchema } from "../schema.ts";
import { makeThrottle } from "../throttle.ts";
import { findStep, hashRecoveryCode, makeRecoveryCodes, makeSecret, makeUri } from "./codes.ts";

export type Enrolment = { secret: string; uri: string };

/** What a change of a second factor did, or with `dryRun` would do, and the recovery codes it made. */
export type FactorChange = { commit: CommitResult; message: string; recoveryCodes: string[] };

type Wish = { author: Author; dryRun?: boolean };

/**
 * With `dryRun` all is checked, a code too, which stays good; nothing changes. Whoever gives wrong codes waits: a stolen
 * session must not find one out by trying.
 */
export type TotpFactor = SecondFactor & {
  /**
   * A secret for a user to put into an app; it counts once a code of it was given. Of somebody from a directory a user object is
   * made then, without roles, to keep it. Throws `exists`, `not-found`, and `forbidden` for a name that no user can have.
   */
  begin(user: string, options?: { fromDirectory?: boolean }): Enrolment;
  /** Throws what {@link begin} would throw. */
  checkBegin(user: string, options?: { fromDirectory?: boolean }): void;
  /** Keeps the secret that was begun, and hands out the recovery codes. Throws `forbidden` for a wrong code. */
  confirm(user: string, code: string, wish: Wish): Promise<FactorChange>;
  /** Fresh recovery codes instead of the old ones. Throws `forbidden` for a wrong code. */
  renew(user: string, code: string, wish: Wish): Promise<FactorChange>;
  /** Ends the second factor of the caller. Throws `forbidden` for a wrong code. */
  remove(user: string, code: string, wish: Wish): Promise<FactorChange>;
  /** Ends it without a code: for an administrator, when phone and recovery codes are lost. */
  reset(user: string, wish: Wish): Promise<FactorChange>;
};

const enrolmentMilliseconds = 10 * 60_000;
const greatestEnrolments = 1000;

/** TOTP with recovery codes, kept with the user. A code is good once; so is a recovery code. */
export function makeTotpFactor(
  control: ConfigurationControl,
  machine: Pick<Machine, "now" | "randomBytes">,
): TotpFactor {
  /** Of each user the last step a code was taken for (RFC 6238, 5.2). */
  const lastSteps = new Map<string, number>();
  const begun = new Map<string, { secret: string; until: number; fromDirectory: boolean }>();
  /** A code of the step of the start, or before, may have been used before it. */
  const firstStep = Math.floor(machine.now().getTime() / 30_000);
  const configuration = () => control.current().configuration;
  /** Of the codes that somebody who is logged in gives; a login counts its own. */
  const tries = makeThrottle({ now: machine.now, free: 5, first: 1000, longest: 60_000 });

  /** True once for a right code; `keep` leaves it good. */
  function takeCode(user: string, secret: string, code: string, keep = false): boolean {
    const step = findStep(secret, code.replace(/\s/g, ""), machine.now());
    if (step === undefined || step <= (lastSteps.get(user) ?? firstStep)) return false;
    if (!keep) lastSteps.set(user, step);
    return true;
  }

  async function change(
    name: string,
    { author, dryRun = false }: Wish,
    message: string,
    make: (user: User) => User,
  ): Promise<FactorChange> {
    const commit = await control.commit({
      author,
      message,
      dryRun,
      // As for the own password: it cuts off nobody else, and must not hold up the changes of all.
      confirmWithin: 0,
      change: (current) => ({ ...current, users: { ...current.users, [name]: make(requireUser(current, name)) } }),
    });
    return { commit, message, recoveryCodes: [] };
  }

  /** The user, or for somebody whom a directory alone knows the object that a second factor would be kept in. */
  function userOrNew(current: Configuration, name: string, fromDirectory: boolean): User {
    if (findUser(current, name) || !fromDirectory) return requireUser(current, name);
    const { error } = userName.safeParse(name);
    if (error)
      throw new SteelyardError(
        "forbidden",
        `a second factor is kept with a user of this box, and ${name} cannot be the name of one: ${error.issues[0]?.message}`,
      );
    return userSchema.parse({
      source: "directory",
      description: "Keeps the second factor of an account of a directory",
    });
  }

  async function takeRecoveryCode(name: string, code: string, keep = false): Promise<boolean> {
    const hash = hashRecoveryCode(code);
    if (!findUser(configuration(), name)?.totp?.recoveryCodes.includes(hash)) return false;
    if (keep) return true;
    try {
      await change(name, { author: { user: name, source: "login" } }, `use a recovery code of ${name}`, (user) => {
        // Looked at again when the commit's turn has come: two at a time must not both be let in.
        if (!user.totp?.recoveryCodes.includes(hash)) throw new SteelyardError("stale", "the code has been used");
        return {
          ...user,
          totp: { ...user.totp, recoveryCodes: user.totp.recoveryCodes.filter((each) => each !== hash) },
        };
      });
      return true;
    } catch (error) {
      if (error instanceof SteelyardError && error.code === "stale") return false;
      throw error;
    }
  }

  async function requireCode(name: string, code: string, { dryRun = false }: Wish): Promise<void> {
    const { totp } = requireUser(configuration(), name);
    if (!totp) throw new SteelyardError("not-found", `${name} has no second factor`);
    tries.attempt(name);
    if (!takeCode(name, totp.secret, code, dryRun) && !(await takeRecoveryCode(name, code, dryRun)))
      throw new SteelyardError("forbidden", "code: wrong code");
    tries.forgive(name);
  }

  function checkBegin(name: string, { fromDirectory = false } = {}): void {
    if (userOrNew(configuration(), name, fromDirectory).totp)
      throw new SteelyardError("exists", `${name} has a second factor already`);
  }

  async function confirm(name: string, code: string, { author, dryRun = false }: Wish): Promise<FactorChange> {
    const enrolment = begun.get(name);
    if (!enrolment || enrolment.until <= machine.now().getTime())
      throw new SteelyardError("not-found", "no second factor is being set up, or it took too long: begin again");
    if (!takeCode(name, enrolment.secret, code, dryRun)) throw new SteelyardError("forbidden", "code: wrong code");
    const recoveryCodes = makeRecoveryCodes(machine.randomBytes);
    const totp = { secret: enrolment.secret, recoveryCodes: recoveryCodes.map(hashRecoveryCode) };
    const message = `set up the second factor of ${name}`;
    const commit = await control.commit({
      author,
      message,
      dryRun,
      confirmWithin: 0,
      change: (current) => {
        const user = userOrNew(current, name, enrolment.fromDirectory);
        if (user.totp) throw new SteelyardError("exists", `${name} has a second factor already`);
        return { ...current, users: { ...current.users, [name]: { ...user, totp } } };
      },
    });
    if (!dryRun) begun.delete(name);
    return { commit, message, recoveryCodes };
  }

  return {
    name: "totp",
    isWanted: (account) =>
      isRequired(configuration(), account, machine.now()) || hasFactor(configuration(), account.user),

    async check({ user: name }, code) {
      const totp = findUser(configuration(), name)?.totp;
      if (totp) return takeCode(name, totp.secret, code) || (await takeRecoveryCode(name, code));
      // Required of somebody who has none yet: the first code of the one that was begun with the challenge sets it up.
      if (!begun.has(name)) return false;
      return await confirm(name, code, { author: { user: name, source: "login" } }).then(
        () => true,
        (error) => {
          if (error instanceof SteelyardError && error.code !== "apply-failed") return false;
          throw error;
        },
      );
    },

    checkBegin,
    begin(name, { fromDirectory = false } = {}) {
      checkBegin(name, { fromDirectory });
      const time = machine.now().getTime();
      for (const [key, { until }] of begun) if (until <= time) begun.delete(key);
      const [oldest] = begun.keys();
      if (begun.size >= greatestEnrolments && oldest !== undefined) begun.delete(oldest);
      const secret = makeSecret(machine.randomBytes);
      begun.set(name, { secret, until: time + enrolmentMilliseconds, fromDirectory });
      return { secret, uri: makeUri(secret, name, configuration().system.hostname) };
    },
    confirm,
    async renew(name, code, wish) {
      await requireCode(name, code, wish);
      const recoveryCodes = makeRecoveryCodes(machine.randomBytes);
      const hashes = recoveryCodes.map(hashRecoveryCode);
      const done = await change(name, wish, `renew the recovery codes of ${name}`, (user) =>
        user.totp ? { ...user, totp: { ...user.totp, recoveryCodes: hashes } } : user,
      );
      return { ...done, recoveryCodes };
    },
    async remove(name, code, wish) {
      await requireCode(name, code, wish);
      return await change(name, wish, `end the second factor of ${name}`, withoutTotp);
    },
    async reset(name, wish) {
      if (!requireUser(configuration(), name).totp)
        throw new SteelyardError("not-found", `${name} has no second factor`);
      return await change(name, wish, `reset the second factor of ${name}`, withoutTotp);
    },
  };
}

function hasFactor(configuration: Configuration, name: string): boolean {
  return findUser(configuration, name)?.totp !== undefined;
}

/** True when one of the account's roles is among those the settings name. */
function isRequired(configuration: Configuration, account: Account, now: Date): boolean {
  const { roles } = configuration.access.secondFactor;
  return (currentRoles(configuration, account, now) ?? []).some((role) => roles.includes(role));
}

function withoutTotp({ totp: _, ...user }: User): User {
  return user;
}

function requireUser(configuration: Configuration, name: string): User {
  const user = findUser(configuration, name);
  if (!user) throw new SteelyardError("not-found", `there is no user ${name} in the configuration of this box`);
  return user;
}
