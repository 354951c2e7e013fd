import { type LdapConnection, type LdapEntry, LdapError } from "../../adapters/ldap.ts";
import { fillFilter, fillUserTemplate, nestedMemberFilter, normalizeDn } from "./names.ts";
import type { Directory } from "./schema.ts";

/** What is asked of a directory over an open connection, in the order it is asked. */

export const lookupSteps = ["connect", "tls", "bind", "search", "password", "groups", "roles"] as const;

/** Something that was done, for whoever wants to know why a login works or does not. Holds no secret. */
export type LookupStep = { step: (typeof lookupSteps)[number]; server: string; ok: boolean; detail: string };
export type Trace = (step: Omit<LookupStep, "server">) => void;

/** What a directory says of somebody. `roles` is empty for whom it knows and nobody gives a role. */
export type Found = { dn: string; groups: string[]; roles: string[] };

export type Answer =
  | { outcome: "accepted"; found: Found }
  /** The directory knows the name, and this is not its password, or the account is disabled. */
  | { outcome: "refused"; reason: string }
  | { outcome: "unknown" };

const nestingLimit = 8;
/** More than this is no group of people any more; also bounds what one login costs. */
const groupLimit = 1000;
const userAttributes = ["memberOf", "userAccountControl", "nsAccountLock"];

/** Checks a password: by the account that searches and a bind as whom it finds, or by the user's own bind. */
export async function checkPassword(
  connection: LdapConnection,
  directory: Directory,
  user: string,
  password: string,
  trace: Trace,
): Promise<Answer> {
  // Before any bind: RFC 4513, 5.1.2.
  if (password === "") return refuse(trace, "password", "an empty password is no password");
  const { userTemplate } = directory;
  if (userTemplate !== undefined) {
    const name = fillUserTemplate(userTemplate, user);
    if (!(await tryBind(connection, name, password, "bind", trace))) return { outcome: "unknown" };
  }
  // Users may not be allowed to search, nor to read groups; the account for it is.
  if (userTemplate === undefined || directory.bindDn !== undefined) await bindToSearch(connection, directory, trace);
  const entry = await findUser(connection, directory, user, trace);
  if (!entry) return { outcome: "unknown" };
  // Also after a bind of the user's own: the name it bound by and the entry found by it may be two people's.
  if (!(await tryBind(connection, entry.dn, password, "password", trace)))
    return { outcome: "refused", reason: "wrong password" };
  if (isDisabled(entry)) return refuse(trace, "password", "the account is disabled");
  if (directory.bindDn !== undefined) await bindToSearch(connection, directory, trace);
  return { outcome: "accepted", found: await findRoles(connection, directory, user, entry, trace) };
}

/** The same without a password, for sessions that are open; undefined when there is no such account any more. */
export async function lookUp(
  connection: LdapConnection,
  directory: Directory,
  user: string,
  trace: Trace,
): Promise<Found | undefined> {
  await bindToSearch(connection, directory, trace);
  const entry = await findUser(connection, directory, user, trace);
  return entry && !isDisabled(entry) ? await findRoles(connection, directory, user, entry, trace) : undefined;
}

/** True when roles can be looked up without the user's password. */
export function canLookUp({ bindDn, userTemplate }: Pick<Directory, "bindDn" | "userTemplate">): boolean {
  return bindDn !== undefined || userTemplate === undefined;
}

function refuse(trace: Trace, step: LookupStep["step"], reason: string): Answer {
  trace({ step, ok: false, detail: reason });
  return { outcome: "refused", reason };
}

async function bindToSearch(
  connection: LdapConnection,
  { bindDn, bindPassword }: Directory,
  trace: Trace,
): Promise<void> {
  if (bindDn === undefined) {
    await connection.bind("", "");
    return trace({ step: "bind", ok: true, detail: "anonymous" });
  }
  try {
    await connection.bind(bindDn, bindPassword ?? "");
  } catch (error) {
    if (!(error instanceof LdapError)) throw error;
    // It is this box that is refused, not the user.
    throw new LdapError("bind", `the directory refuses ${bindDn}: ${error.message}`, { answered: error.answered });
  }
  trace({ step: "bind", ok: true, detail: `as ${bindDn}` });
}

async function tryBind(
  connection: LdapConnection,
  name: string,
  password: string,
  step: "bind" | "password",
  trace: Trace,
): Promise<boolean> {
  try {
    await connection.bind(name, password);
    trace({ step, ok: true, detail: `as ${name}` });
    return true;
  } catch (error) {
    if (!(error instanceof LdapError) || !error.refused) throw error;
    trace({ step, ok: false, detail: `as ${name}: ${error.message}` });
    return false;
  }
}

async function findUser(
  connection: LdapConnection,
  { baseDn, userFilter }: Directory,
  user: string,
  trace: Trace,
): Promise<LdapEntry | undefined> {
  const filter = fillFilter(userFilter, { user });
  const found = await connection.search({ base: baseDn, scope: "sub", filter, attributes: userAttributes, limit: 2 });
  const [entry, second] = found;
  if (second) throw new LdapError("search", `${filter} below ${baseDn} matches several entries`, { answered: true });
  const detail = entry ? `${filter} below ${baseDn}: ${entry.dn}` : `${filter} below ${baseDn}: nobody`;
  trace({ step: "search", ok: entry !== undefined, detail });
  return entry;
}

/** ADS_UF_ACCOUNTDISABLE of Active Directory; nsAccountLock of 389 Directory Server. */
function isDisabled(entry: LdapEntry): boolean {
  const control = Number(entry.values("userAccountControl")[0] ?? 0);
  return (control & 2) !== 0 || entry.values("nsAccountLock")[0]?.toLowerCase() === "true";
}

async function findRoles(
  connection: LdapConnection,
  directory: Directory,
  user: string,
  entry: LdapEntry,
  trace: Trace,
): Promise<Found> {
  const groups = await findGroups(connection, directory, user, entry);
  trace({ step: "groups", ok: true, detail: groups.length === 0 ? "none" : groups.join("; ") });
  const roles = rolesOfGroups(directory, groups);
  trace({ step: "roles", ok: roles.length > 0, detail: roles.length === 0 ? "none" : roles.join(", ") });
  return { dn: entry.dn, groups, roles };
}

/** Pure. */
export function rolesOfGroups({ groupRoles, defaultRoles }: Directory, groups: readonly string[]): string[] {
  const held = new Set(groups.map((group) => normalizeDn(group)));
  const given = groupRoles.flatMap(({ group, roles }) => {
    const wanted = normalizeDn(group);
    return wanted !== undefined && held.has(wanted) ? roles : [];
  });
  return [...new Set([...defaultRoles, ...given])];
}

async function findGroups(
  connection: LdapConnection,
  directory: Directory,
  user: string,
  entry: LdapEntry,
): Promise<string[]> {
  const { groupLookup, groupFilter, nestedGroups } = directory;
  const search = async (filter: string): Promise<string[]> => {
    const base = directory.groupBaseDn ?? directory.baseDn;
    const found = await connection.search({ base, scope: "sub", filter, attributes: ["1.1"], limit: groupLimit });
    return found.map(({ dn }) => dn);
  };
  if (groupLookup === "active-directory") return await search(fillFilter(nestedMemberFilter, { dn: entry.dn }));
  const isSearch = groupLookup === "search";
  const direct = isSearch ? await search(fillFilter(groupFilter, { user, dn: entry.dn })) : entry.values("memberOf");
  if (!nestedGroups) return direct;
  return await addNested(direct, async (dn) => {
    // A group has no name of a user: `memberUid` must not match it.
    if (isSearch)
      return await search(fillFilter(groupFilter.includes("{dn}") ? groupFilter : "(member={dn})", { user: "", dn }));
    const filter = "(objectClass=*)";
    const [group] = await connection.search({ base: dn, scope: "base", filter, attributes: ["memberOf"], limit: 1 });
    return group?.values("memberOf") ?? [];
  });
}

/** Level by level; a group met before is not asked again, so a circle ends. */
async function addNested(direct: readonly string[], parentsOf: (dn: string) => Promise<string[]>): Promise<string[]> {
  const known = new Map(direct.map((dn) => [normalizeDn(dn) ?? dn, dn]));
  let level = [...known.values()];
  for (let depth = 1; depth < nestingLimit && level.length > 0; depth += 1) {
    const next: string[] = [];
    for (const dn of level) {
      for (const parent of await parentsOf(dn)) {
        const key = normalizeDn(parent) ?? parent;
        if (known.has(key) || known.size >= groupLimit) continue;
        known.set(key, parent);
        next.push(parent);
      }
    }
    level = next;
  }
  return [...known.values()];
}
