import { SteelyardError } from "../errors.ts";

/** Sent as 429 with `Retry-After`. */
export class TooManyRequests extends SteelyardError {
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super("too-many-requests", `try again in ${retryAfterSeconds} s`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export type ThrottleOptions = {
  now(): Date;
  /** Attempts that cost nothing. */
  free: number;
  /** Milliseconds after the first attempt beyond them; doubled by each further one up to `longest`. */
  first: number;
  longest: number;
};

export type Attempts = { count: number; last: number; until: number };

export type Throttle = {
  /** Counts an attempt, before its outcome is known, so that a burst cannot slip through. Throws {@link TooManyRequests}. */
  attempt(key: string): void;
  /** Forgets the attempts of a key: one of them was right. */
  forgive(key: string): void;
  /** What is counted of a key, to go on counting it under another. */
  find(key: string): Attempts | undefined;
  put(key: string, attempts: Attempts): void;
  /** The keys that have to wait now. */
  list(): Throttled[];
};

/** A key that has to wait: how many attempts it has made, and until when. */
export type Throttled = { key: string; attempts: number; until: Date };

const greatestNumber = 10_000;
/** Quiet for this long, a key starts afresh. */
const memory = 3_600_000;

/** Growing delays per key, in memory. */
export function makeThrottle({ now, free, first, longest }: ThrottleOptions): Throttle {
  const attempts = new Map<string, Attempts>();

  const forgetOld = (time: number) => {
    if (attempts.size < greatestNumber) return;
    // In order of the last attempt, so the first that is fresh ends the search.
    for (const [key, { last }] of attempts) {
      if (time - last <= memory) break;
      attempts.delete(key);
    }
    const [oldest] = attempts.keys();
    if (attempts.size >= greatestNumber && oldest !== undefined) attempts.delete(oldest);
  };

  return {
    attempt(key) {
      const time = now().getTime();
      const known = attempts.get(key);
      const fresh = known === undefined || time - known.last > memory;
      if (!fresh && time < known.until) throw new TooManyRequests(Math.ceil((known.until - time) / 1000));
      const count = fresh ? 1 : known.count + 1;
      const delay = count > free ? Math.min(first * 2 ** (count - free - 1), longest) : 0;
      forgetOld(time);
      // Set anew, so that the map stays ordered by the last attempt.
      attempts.delete(key);
      attempts.set(key, { count, last: time, until: time + delay });
    },
    forgive(key) {
      attempts.delete(key);
    },
    find: (key) => attempts.get(key),
    put(key, given) {
      attempts.delete(key);
      attempts.set(key, given);
    },
    list() {
      const time = now().getTime();
      return [...attempts].flatMap(([key, { count, until }]) =>
        until > time ? [{ key, attempts: count, until: new Date(until) }] : [],
      );
    },
  };
}
