import type { Configuration } from "../configuration/schema.ts";
import { type CertificateFacts, readFacts } from "./inspect.ts";
import type { Certificate } from "./schema.ts";

/** How certificates stand at a time. Pure. */

export type CertificateState = "valid" | "expiring" | "expired" | "not-yet-valid" | "requested";

const day = 86_400_000;
/** Days before the end, and never more than a third of the whole time: some authorities sign for a week. */
const noticeDays = 30;

/** Whole days; negative once it has expired. */
export function daysLeft({ notAfter }: Pick<CertificateFacts, "notAfter">, now: Date): number {
  return Math.floor((Date.parse(notAfter) - now.getTime()) / day);
}

export function stateOf(
  { notBefore, notAfter }: Pick<CertificateFacts, "notBefore" | "notAfter">,
  now: Date,
): Exclude<CertificateState, "requested"> {
  const [from, to, at] = [Date.parse(notBefore), Date.parse(notAfter), now.getTime()];
  if (at >= to) return "expired";
  if (at < from) return "not-yet-valid";
  return to - at < Math.min(noticeDays * day, (to - from) / 3) ? "expiring" : "valid";
}

const known = new WeakMap<Certificate, CertificateFacts>();

/** Undefined while there is only a request. The object has passed its verification. */
export function factsOfObject(object: Certificate): CertificateFacts | undefined {
  if (object.certificate === undefined) return undefined;
  const facts = known.get(object) ?? readFacts(object.certificate);
  known.set(object, facts);
  return facts;
}

/** What has a use for a certificate, by its path in the configuration. */
export function usesOf({ system }: Configuration, name: string): string[] {
  return system.management.certificate === name ? ["system.management"] : [];
}

export function listStates(configuration: Configuration, now: Date): { name: string; state: CertificateState }[] {
  return Object.entries(configuration.certificates).map(([name, object]) => {
    const facts = factsOfObject(object);
    return { name, state: facts ? stateOf(facts, now) : "requested" };
  });
}

/** One line for each certificate that somebody has to do something about, but for one that is told of elsewhere. */
export function describeExpiry(
  { certificates }: Pick<Configuration, "certificates">,
  now: Date,
  except?: string,
): string[] {
  return Object.entries(certificates).flatMap(([name, object]) => {
    if (name === except) return [];
    const facts = factsOfObject(object);
    return facts ? describeState(`certificate ${name}`, facts, now) : [];
  });
}

export function describeState(
  what: string,
  facts: Pick<CertificateFacts, "notBefore" | "notAfter">,
  now: Date,
): string[] {
  const left = daysLeft(facts, now);
  switch (stateOf(facts, now)) {
    case "expired":
      return [`${what} expired on ${facts.notAfter}`];
    case "not-yet-valid":
      return [`${what} is not valid before ${facts.notBefore}: is the clock right?`];
    case "expiring":
      return [
        `${what} expires ${left === 0 ? "today" : `in ${left} ${left === 1 ? "day" : "days"}`}, on ${facts.notAfter}`,
      ];
    case "valid":
      return [];
  }
}
