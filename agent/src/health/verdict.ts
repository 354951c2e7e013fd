/** From single probes to a verdict: up or down. Pure; a second is a second of the caller's clock. */

export type Thresholds = {
  /** Probes in a row that must succeed until what is down counts as up, and that must fail until what is up counts as down. */
  rise: number;
  fall: number;
};

export type Health = {
  verdict: "up" | "down";
  /** Milliseconds of the caller's clock: when the verdict was given. */
  since: number;
  /** Probes in a row that spoke against the verdict. */
  against: number;
  /** When the verdict became down, as far as it counts for damping. */
  falls: number[];
  /** Until then it does not become up. */
  heldUntil: number;
};

/** What falls a third time within five minutes is kept down for half a minute, and twice as long each time after, up to ten. */
export const damping = { window: 300_000, falls: 3, hold: 30_000, longest: 600_000 } as const;

export function startHealth(now: number, verdict: Health["verdict"] = "up"): Health {
  return { verdict, since: now, against: 0, falls: [], heldUntil: 0 };
}

/** The health after one more probe. */
export function judge(health: Health, succeeded: boolean, now: number, { rise, fall }: Thresholds): Health {
  const agrees = succeeded === (health.verdict === "up");
  if (agrees) return health.against === 0 ? health : { ...health, against: 0 };
  const against = health.against + 1;
  if (against < (succeeded ? rise : fall)) return { ...health, against };
  if (succeeded) {
    // Enough of them: the next one after the hold time turns the verdict.
    if (now < health.heldUntil) return { ...health, against };
    return { ...health, verdict: "up", since: now, against: 0 };
  }
  const falls = [...health.falls.filter((time) => now - time < damping.window), now];
  const excess = falls.length - damping.falls;
  const hold = excess < 0 ? 0 : Math.min(damping.hold * 2 ** excess, damping.longest);
  return { verdict: "down", since: now, against: 0, falls, heldUntil: now + hold };
}
