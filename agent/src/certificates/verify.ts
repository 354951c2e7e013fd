import { X509Certificate } from "node:crypto";
import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";
import { findProblems } from "./inspect.ts";
import { splitChain } from "./schema.ts";
import { describeState, factsOfObject } from "./validity.ts";

const path = "system.management.certificate";

/**
 * Everything that is wrong or odd with the certificates. That one has expired is a warning: it must not stand in the way of
 * other changes, of going back or of a restore. Who uploads one that has expired is refused by the route.
 */
export function verifyCertificates(configuration: Configuration, now: Date): Finding[] {
  const findings = Object.entries(configuration.certificates).flatMap(([name, object]) =>
    findProblems(object).map(
      ({ path: field, message }): Finding => ({ severity: "error", path: `certificates.${name}.${field}`, message }),
    ),
  );
  return findings.length > 0 ? findings : verifyManagement(configuration, now);
}

function verifyManagement({ system, certificates }: Configuration, now: Date): Finding[] {
  const name = system.management.certificate;
  if (name === undefined) return [];
  const object = Object.hasOwn(certificates, name) ? certificates[name] : undefined;
  if (!object) {
    const known = Object.keys(certificates).join(", ") || "there is none";
    return [{ severity: "error", path, message: `expected one of the certificates: ${known}, not ${name}` }];
  }
  const facts = factsOfObject(object);
  if (!facts || object.certificate === undefined)
    return [{ severity: "error", path, message: `${name} is a request still: it has no certificate yet` }];
  const warn = (message: string): Finding => ({ severity: "warning", path, message });
  const findings = describeState(name, facts, now).map(warn);
  const names = facts.names.join(", ");
  if (facts.names.length === 0)
    findings.push(warn(`${name} names no host (it has no subject alternative name), so clients will not trust it`));
  else if (new X509Certificate(splitChain(object.certificate)[0] ?? "").checkHost(system.hostname) === undefined)
    findings.push(
      warn(`${name} is for ${names}, not for ${system.hostname}: clients that come by that name will not trust it`),
    );
  if (facts.key === "Ed25519") findings.push(warn(`${name} has an Ed25519 key, which browsers do not take`));
  return findings;
}
