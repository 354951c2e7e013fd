import { createHash } from "node:crypto";
import type { Machine } from "../adapters/machine.ts";
import { SteelyardError } from "../errors.ts";

/** Between the two steps of a login: a token that stands for an account whose password was right. */

const lifetimeMilliseconds = 5 * 60_000;
const greatestAttempts = 5;
/** Above this the oldest ends; each took a right password to get. */
const greatestNumber = 1000;

/** Answered as 401 with the code `second-factor-required`. */
export class SecondFactorRequired extends SteelyardError {
  readonly challenge: string;
  readonly factors: readonly string[];
  readonly expiresInSeconds = lifetimeMilliseconds / 1000;

  constructor(challenge: string, factors: readonly string[]) {
    super("second-factor-required", `the password is right; send the challenge with a code of: ${factors.join(", ")}`);
    this.challenge = challenge;
    this.factors = factors;
  }
}

export type Challenges<Subject> = {
  open(subject: Subject): string;
  /** Counts an attempt and gives back whom the token stands for; undefined when it has ended. */
  attempt(token: string): Subject | undefined;
  /** Whom the token stands for, without counting. */
  find(token: string): Subject | undefined;
  close(token: string): void;
};

/** In memory; of a token only the SHA-256 is kept. */
export function makeChallenges<Subject>({
  now,
  randomBytes,
}: Pick<Machine, "now" | "randomBytes">): Challenges<Subject> {
  const open = new Map<string, { subject: Subject; until: number; attempts: number }>();
  const digest = (token: string) => createHash("sha256").update(token).digest("base64url");
  return {
    open(subject) {
      const time = now().getTime();
      for (const [key, { until }] of open) if (until <= time) open.delete(key);
      const [oldest] = open.keys();
      if (open.size >= greatestNumber && oldest !== undefined) open.delete(oldest);
      const token = randomBytes(32).toString("base64url");
      open.set(digest(token), { subject, until: time + lifetimeMilliseconds, attempts: 0 });
      return token;
    },
    attempt(token) {
      const key = digest(token);
      const found = open.get(key);
      if (!found) return undefined;
      found.attempts += 1;
      if (found.until > now().getTime() && found.attempts <= greatestAttempts) return found.subject;
      open.delete(key);
      return undefined;
    },
    find(token) {
      const found = open.get(digest(token));
      return found && found.until > now().getTime() ? found.subject : undefined;
    },
    close(token) {
      open.delete(digest(token));
    },
  };
}
