import type { Finding } from "../../../commit/subsystem.ts";
import type { Configuration } from "../../../configuration/schema.ts";

/** What is wrong or weak with the servers that get the audit log. */
export function verifyAuditTargets({ auditTargets }: Pick<Configuration, "auditTargets">): Finding[] {
  return Object.entries(auditTargets).flatMap(([name, target]): Finding[] => {
    const { transport, caCertificates, pinnedCertificates, serverName } = target;
    if (transport === "tls") return [];
    const path = `auditTargets.${name}`;
    const idle = Object.entries({ caCertificates, serverName, pinnedCertificates: pinnedCertificates[0] })
      .filter(([, value]) => value !== undefined)
      .map(([field]): Finding => {
        return { severity: "error", path: `${path}.${field}`, message: "expected only with the transport tls" };
      });
    const message = `is ${transport}: who did what crosses the network in clear, and anybody on it can change it`;
    return [...idle, { severity: "warning", path: `${path}.transport`, message }];
  });
}
