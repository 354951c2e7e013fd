import { findFilterMistake } from "../../adapters/ldap.ts";
import type { Finding } from "../../commit/subsystem.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { canLookUp } from "./lookup.ts";
import { fillFilter, normalizeDn } from "./names.ts";
import { type Directory, splitServer } from "./schema.ts";

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** What is wrong or weak with the directories; that their roles exist says the caller. */
export function verifyDirectories({ directories }: Pick<Configuration, "directories">): Finding[] {
  return Object.entries(directories).flatMap(([name, directory]) => {
    const path = `directories.${name}`;
    return [...verifyServers(path, directory), ...verifyBind(path, directory), ...verifySearch(path, directory)];
  });
}

function verifyServers(path: string, { servers, allowUnencrypted, pinnedCertificates }: Directory): Finding[] {
  const findings: Finding[] = servers.flatMap((server, at) =>
    servers.indexOf(server) === at ? [] : error(`${path}.servers.${at}`, "expected each server once"),
  );
  const isPlain = allowUnencrypted && servers.some((server) => splitServer(server).scheme === "ldap");
  if (isPlain)
    findings.push(
      warning(`${path}.allowUnencrypted`, "is true: passwords cross the network in clear, for all to read"),
    );
  if (isPlain && pinnedCertificates.length > 0)
    findings.push(error(`${path}.pinnedCertificates`, "expected none: without TLS there is no certificate"));
  return findings;
}

function verifyBind(path: string, directory: Directory): Finding[] {
  const { bindDn, bindPassword, userTemplate } = directory;
  if (bindDn !== undefined && bindPassword === undefined)
    return [error(`${path}.bindPassword`, "expected the password of bindDn: a bind without one is an anonymous one")];
  if (bindDn === undefined && bindPassword !== undefined)
    return [error(`${path}.bindDn`, "expected the name that bindPassword belongs to")];
  if (!canLookUp(directory)) {
    const words = "is left out: roles cannot be looked up anew, so sessions end after recheckMinutes";
    return [warning(`${path}.bindDn`, words)];
  }
  if (bindDn === undefined && userTemplate === undefined)
    return [
      warning(`${path}.bindDn`, "is left out: users are searched for by nobody's name, which few directories allow"),
    ];
  return [];
}

function verifySearch(path: string, directory: Directory): Finding[] {
  const { baseDn, groupBaseDn, userFilter, groupFilter, groupRoles, defaultRoles } = directory;
  const findings: Finding[] = [];
  for (const [field, dn] of Object.entries({ baseDn, groupBaseDn }))
    if (dn !== undefined && normalizeDn(dn) === undefined)
      findings.push(error(`${path}.${field}`, "expected a DN, like dc=example,dc=com (RFC 4514)"));
  for (const [field, filter] of Object.entries({ userFilter, groupFilter })) {
    const mistake = findFilterMistake(fillFilter(filter, { user: "anna", dn: "uid=anna" }));
    if (mistake !== undefined) findings.push(error(`${path}.${field}`, `expected a filter of RFC 4515: ${mistake}`));
  }
  for (const [at, { group }] of groupRoles.entries())
    if (normalizeDn(group) === undefined)
      findings.push(error(`${path}.groupRoles.${at}.group`, "expected the DN of a group (RFC 4514)"));
  if (groupRoles.length === 0 && defaultRoles.length === 0)
    findings.push(
      warning(`${path}.groupRoles`, "is empty: only users of the configuration with roles of their own get in"),
    );
  return findings;
}
