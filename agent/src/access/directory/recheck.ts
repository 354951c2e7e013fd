import type { Machine } from "../../adapters/machine.ts";
import type { ConfigurationControl } from "../../commit/control.ts";
import { messageOf } from "../../errors.ts";
import type { Audit } from "../audit/audit.ts";
import type { Account } from "../login.ts";
import { findUser, rolesOf } from "../rights.ts";
import type { Sessions } from "../sessions.ts";
import type { Directories } from "./directories.ts";
import { canLookUp } from "./lookup.ts";

type Parts = {
  control: ConfigurationControl;
  directories: Directories;
  sessions: Sessions;
  audit: Pick<Audit, "record">;
  machine: Pick<Machine, "now" | "log">;
};

/** Milliseconds between two looks at which sessions are due. */
const interval = 15_000;
/** Lookups in one round; the rest is due in the next, so that a thousand sessions do not fall on a directory at once. */
const greatestRound = 200;

/**
 * Looks up the roles of whoever is logged in by a directory anew, every `recheckMinutes`. Who is gone there, disabled, or left
 * without a role is logged out; who has other roles has them from then on. A directory that does not answer changes nothing for
 * `graceMinutes`, then the sessions end. Where only the user's own bind searches, they end at `recheckMinutes`.
 */
export function watchDirectorySessions({ control, directories, sessions, audit, machine }: Parts) {
  let running: Promise<void> = Promise.resolve();
  const timer = setInterval(() => void recheck(), interval).unref();
  let seen = control.current().configuration.directories;
  const unsubscribe = control.subscribe(({ kind }) => {
    const { directories: wanted } = control.current().configuration;
    if ((kind !== "committed" && kind !== "reverted") || wanted === seen) return;
    seen = wanted;
    // Other groups may have roles now.
    void recheck({ all: true });
  });

  /** Those that are due, or all; one round at a time. */
  function recheck({ all = false } = {}): Promise<void> {
    running = running.then(() => round(all)).catch((error) => machine.log.error(`directories: ${messageOf(error)}`));
    return running;
  }

  async function round(all: boolean): Promise<void> {
    const accounts = new Map<string, Account>();
    for (const { account } of sessions.list())
      if (account.directory) accounts.set(`${account.directory.name} ${account.user}`, account);
    let asked = 0;
    for (const account of accounts.values()) {
      if (!all && !isDue(account)) continue;
      asked += 1;
      if (asked > greatestRound && !all) break;
      await look(account);
    }
  }

  function isDue({ directory }: Account): boolean {
    const settings = directory && find(directory.name);
    if (!directory || !settings) return true;
    return ageOf(directory.checked) >= settings.recheckMinutes * 60_000;
  }

  async function look(account: Account): Promise<void> {
    const { user, directory } = account;
    const name = directory?.name ?? "";
    const settings = find(name);
    if (!directory || !settings) return end(account, `the directory ${name} is not asked any more`);
    const age = ageOf(directory.checked);
    if (!canLookUp(settings)) {
      if (age >= settings.recheckMinutes * 60_000)
        end(account, `roles in ${name} can be looked up by a new login only`);
      return;
    }
    try {
      const found = await directories.lookUp(name, settings, user);
      if (!found) return end(account, `${name} does not know ${user} any more`);
      const known = findUser(control.current().configuration, user);
      const own = known ? rolesOf(control.current().configuration, known) : [];
      if (found.roles.length + own.length === 0)
        return end(account, `no group of ${user} in ${name} has a role any more`);
      const checked = machine.now().toISOString();
      const before = [...(account.roles ?? [])].sort().join(", ");
      const after = [...found.roles].sort().join(", ");
      sessions.updateWhere(isOf(account), (each) => ({ ...each, roles: found.roles, directory: { name, checked } }));
      if (before !== after)
        report(
          account,
          "directoryRoles",
          `the roles of ${user} by ${name} were ${before || "none"} and are ${after || "none"}`,
        );
    } catch (error) {
      if (age < (settings.recheckMinutes + settings.graceMinutes) * 60_000) return;
      end(account, `${name} has not answered for ${Math.floor(age / 60_000)} minutes: ${messageOf(error)}`);
    }
  }

  const find = (name: string) => {
    const { directories: all } = control.current().configuration;
    const settings = Object.hasOwn(all, name) ? all[name] : undefined;
    return settings?.enabled ? settings : undefined;
  };
  const ageOf = (checked: string) => machine.now().getTime() - Date.parse(checked);
  const isOf = (account: Account) => (other: Account) =>
    other.user === account.user && other.directory?.name === account.directory?.name;

  function end(account: Account, reason: string): void {
    const matches = isOf(account);
    const ended = sessions.closeWhere((session) => matches(session.account));
    if (ended > 0) report(account, "directoryLogout", reason);
  }

  function report({ user, roles }: Account, operation: string, message: string): void {
    machine.log.info(`directories: ${message}`);
    const who = { user, ...(roles ? { roles: [...roles] } : {}), means: "agent", source: "agent" };
    void audit.record({ ...who, operation, object: "access/sessions", result: "done", message });
  }

  return {
    recheck,
    async stop(): Promise<void> {
      clearInterval(timer);
      unsubscribe();
      await running;
    },
  };
}
