import type { Finding } from "../../../commit/subsystem.ts";
import type { Configuration } from "../../../configuration/schema.ts";

/** What is wrong or weak with the servers that get the audit log. */
export function verifyAuditTargets({
  auditTargets,
  certificates,
}: Pick<Configuration, "auditTargets" | "certificates">): Finding[] {
  return Object.entries(auditTargets).flatMap(([name, target]): Finding[] => {
    const { transport, caCertificates, pinnedCertificates, serverName, clientCertificate } = target;
    const path = `auditTargets.${name}`;
    if (transport === "tls")
      return verifyClient(clientCertificate, certificates).map((message) => {
        return { severity: "error", path: `${path}.clientCertificate`, message };
      });
    const pinned = pinnedCertificates[0];
    const idle = Object.entries({ caCertificates, serverName, clientCertificate, pinnedCertificates: pinned })
      .filter(([, value]) => value !== undefined)
      .map(([field]): Finding => {
        return { severity: "error", path: `${path}.${field}`, message: "expected only with the transport tls" };
      });
    const message = `is ${transport}: who did what crosses the network in clear, and anybody on it can change it`;
    return [...idle, { severity: "warning", path: `${path}.transport`, message }];
  });
}

function verifyClient(name: string | undefined, certificates: Configuration["certificates"]): string[] {
  if (name === undefined) return [];
  const found = Object.hasOwn(certificates, name) ? certificates[name] : undefined;
  const known = Object.keys(certificates).join(", ") || "there is none";
  if (!found) return [`expected one of the certificates: ${known}, not ${name}`];
  return found.certificate === undefined ? [`${name} is a request still: it has no certificate yet`] : [];
}
