import { matchesPattern, patternCovers } from "./pattern.ts";
import type { Bindings } from "./schema.ts";

/**
 * What a request needs, declared on its route: `resource:verb`, such as `farms:update`. Verbs are read, create, update,
 * delete and what a resource has besides. `public` needs no login.
 */
export type Permission = `${string}:${string}` | "public";

/** The kinds of object a role can be bound to, and the resource that each belongs to. */
const resourceOfKind = { farms: "farms", interfaces: "network", certificates: "certificates" } as const;
export type BindingKind = keyof typeof resourceOfKind;
const kinds = Object.keys(resourceOfKind) as BindingKind[];

/** One thing that is allowed: a resource and a verb, either may be `*`; with `names`, only on objects so named. */
export type Grant = { resource: string; verb: string; names?: readonly string[] };

/**
 * On what a permission is wanted: `every` object of the resource (or one that has no owner), `some` of them, where the
 * handler looks at each by itself, or the named one.
 */
export type Scope = "every" | "some" | { name: string };

/** Who sends a request. */
export type Principal = {
  user: string;
  /** Address of the client, or `local` for the socket. */
  source: string;
  /** How the caller proved who it is. */
  means: "session" | "cookie" | "api-key" | "local";
  /** Names of the roles held; none for the socket. */
  roles?: readonly string[];
  /** Id of the session or key, `socket` for a user on the socket of its own; none for root. */
  id?: string;
  grants: readonly Grant[];
  /** Where it is given, a permission must be in both: an API key does no more than its owner may do now. */
  ceiling?: readonly Grant[];
};

export const everything: readonly Grant[] = [{ resource: "*", verb: "*" }];

/**
 * The grants of a role. In a role that is bound, `*` for the resource stands for the bound kinds only, so that `*:*` bound
 * to a farm is not the right to write another role.
 */
export function compileRole(role: { permissions: readonly string[]; bindings?: Bindings }): Grant[] {
  const bound = kinds.filter((kind) => role.bindings?.[kind] !== undefined);
  const names = (kind: BindingKind) => role.bindings?.[kind] ?? [];
  return role.permissions.flatMap((permission): Grant[] => {
    const [resource = "", verb = ""] = permission.split(":");
    if (resource === "*" && bound.length > 0)
      return bound.map((kind) => ({ resource: resourceOfKind[kind], verb, names: names(kind) }));
    const kind = bound.find((each) => resourceOfKind[each] === resource);
    return [{ resource, verb, ...(kind ? { names: names(kind) } : {}) }];
  });
}

/** True when one of the grants covers the permission on the scope. Nothing granted, nothing allowed. */
export function isGranted(grants: readonly Grant[], wanted: Permission, scope: Scope = "every"): boolean {
  const [resource, verb] = wanted.split(":");
  return grants.some(
    (grant) =>
      (grant.resource === "*" || grant.resource === resource) &&
      (grant.verb === "*" || grant.verb === verb) &&
      coversScope(grant.names, scope),
  );
}

function coversScope(names: readonly string[] | undefined, scope: Scope): boolean {
  if (names === undefined) return true;
  if (scope === "every") return false;
  return scope === "some" ? names.length > 0 : names.some((pattern) => matchesPattern(pattern, scope.name));
}

export function isPermitted(
  { grants, ceiling }: Pick<Principal, "grants" | "ceiling">,
  wanted: Permission,
  scope: Scope = "every",
): boolean {
  return isGranted(grants, wanted, scope) && (ceiling === undefined || isGranted(ceiling, wanted, scope));
}

/** True when whatever `narrow` allows, `wide` allows too. May say no where only several grants together would cover one. */
export function grantsCover(wide: readonly Grant[], narrow: readonly Grant[]): boolean {
  return narrow.every((each) => wide.some((grant) => grantCovers(grant, each)));
}

function grantCovers(wide: Grant, narrow: Grant): boolean {
  const half = (one: string, other: string) => one === "*" || one === other;
  if (narrow.names?.length === 0) return true;
  if (!half(wide.resource, narrow.resource) || !half(wide.verb, narrow.verb)) return false;
  const { names } = wide;
  if (names === undefined) return true;
  return narrow.names?.every((pattern) => names.some((each) => patternCovers(each, pattern))) ?? false;
}

/** True when the principal itself may do all that the grants allow, and so may hand it on. */
export function mayGrant({ grants, ceiling }: Pick<Principal, "grants" | "ceiling">, given: readonly Grant[]): boolean {
  return grantsCover(grants, given) && (ceiling === undefined || grantsCover(ceiling, given));
}
