import type { Machine } from "../../adapters/machine.ts";
import type { ConfigurationControl } from "../../commit/control.ts";
import { messageOf, SteelyardError } from "../../errors.ts";
import type { Authenticator, Verdict } from "../login.ts";
import { directoryStamp, localAdministrator } from "../principal.ts";
import { findUser, isActive, rolesOf, stampOf } from "../rights.ts";
import type { Directories } from "./directories.ts";
import { readUserName } from "./names.ts";

/**
 * Logging in by a directory. It is asked after the users of the configuration, and never for a name that is a local user's,
 * whatever letters it is written in: nobody in a directory becomes `admin` by being called so there.
 */
export function makeDirectoryAuthenticator(
  control: Pick<ConfigurationControl, "current">,
  directories: Directories,
  { now, log }: Pick<Machine, "now" | "log">,
): Authenticator {
  const configuration = () => control.current().configuration;
  return {
    name: "directory",
    isReady: () => directories.list(configuration()).length > 0,
    async authenticate({ user: given, password }): Promise<Verdict> {
      const user = readUserName(given);
      if (user === undefined || password === "") return { verdict: "unknown" };
      const known = findUser(configuration(), user);
      // Root on the box acts by this name, whether there is such a user or not: what root began must be nobody else's.
      if (!known && user === localAdministrator.user) return { verdict: "unknown" };
      if (known && (known.source !== "directory" || !isActive(known, now()))) return { verdict: "unknown" };
      const failures: string[] = [];
      for (const [name, directory] of directories.list(configuration())) {
        try {
          const answer = await directories.check(name, directory, user, password);
          if (answer.outcome === "unknown") continue;
          if (answer.outcome === "refused") return { verdict: "refused", user };
          const { roles } = answer.found;
          const held = known ? [...rolesOf(configuration(), known), ...roles] : roles;
          if (held.length === 0) {
            log.warn(`directory ${name}: ${user} has the right password and no role`);
            const reason = "the directory knows you, but no group of yours has a role on this box";
            return { verdict: "refused", user, reason };
          }
          const stamp = known ? stampOf(known) : directoryStamp;
          const checked = now().toISOString();
          return {
            verdict: "accepted",
            account: { user, source: "directory", stamp, roles, directory: { name, checked } },
          };
        } catch (error) {
          failures.push(messageOf(error));
        }
      }
      // Nobody else is left to ask; the log has the reason, the caller must not learn which name is whose.
      if (failures.length > 0) throw new SteelyardError("not-ready", failures.join("; "));
      return { verdict: "unknown" };
    },
  };
}
