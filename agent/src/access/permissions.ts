/**
 * What a request needs, declared on its route: `resource:verb`, such as `farms:update`. Verbs are read, create, update,
 * delete. `public` needs no login.
 */
export type Permission = `${string}:${string}` | "public";

/** Who sends a request. */
export type Principal = {
  user: string;
  /** Address of the client, or `local` for the socket. */
  source: string;
  /** Granted permissions; either half may be `*`. */
  permissions: readonly string[];
};

/** For now every user is an administrator; roles bring narrower lists. */
export const administratorPermissions: readonly string[] = ["*:*"];

/** True when one of the granted permissions covers the wanted one. Nothing granted, nothing allowed. */
export function isPermitted(granted: readonly string[], wanted: Permission): boolean {
  const [resource, verb] = wanted.split(":");
  return granted.some((each) => {
    const [grantedResource, grantedVerb] = each.split(":");
    return (grantedResource === "*" || grantedResource === resource) && (grantedVerb === "*" || grantedVerb === verb);
  });
}
