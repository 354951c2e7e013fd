import { type LdapConnection, LdapError, openLdap } from "../../adapters/ldap.ts";
import type { Machine } from "../../adapters/machine.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { messageOf, SteelyardError } from "../../errors.ts";
import { type Answer, checkPassword, type Found, type LookupStep, lookUp, type Trace } from "./lookup.ts";
import { type Directory, splitCertificates, splitServer } from "./schema.ts";

/** The directories of the configuration, each with its servers. */
export type Directories = {
  /** Those that are enabled, in the order they are asked. */
  list(configuration: Pick<Configuration, "directories">): [string, Directory][];
  /** Throws `not-ready` when no server answers as it should. */
  check(name: string, directory: Directory, user: string, password: string): Promise<Answer>;
  /** Of somebody whose session is open; undefined: gone, or disabled. Throws `not-ready`. */
  lookUp(name: string, directory: Directory, user: string): Promise<Found | undefined>;
  /** A login with every step told, each server until one answers. Never throws. */
  tell(
    directory: Directory,
    user: string,
    password: string,
  ): Promise<{ answer: Answer | undefined; steps: LookupStep[] }>;
};

/** Milliseconds a server that did not answer is asked last: it must not cost everybody its time-out. */
const avoidance = 30_000;
/** Logins at a time: a directory that hangs must not gather them without bound. */
const greatestAtATime = 16;

const quiet: Trace = () => {};

export function makeDirectories({ now, log }: Pick<Machine, "now" | "log">): Directories {
  const avoided = new Map<string, number>();
  let running = 0;

  /** From the first server that answers, in order; those that lately did not come last. */
  async function ask<Result>(
    name: string,
    directory: Directory,
    question: (connection: LdapConnection) => Promise<Result>,
  ): Promise<Result> {
    if (running >= greatestAtATime)
      throw new SteelyardError("not-ready", `directory ${name}: too many logins at a time`);
    running += 1;
    try {
      const failures: string[] = [];
      for (const server of orderServers(directory.servers)) {
        try {
          const result = await talk(directory, server, quiet, question);
          avoided.delete(server);
          return result;
        } catch (error) {
          failures.push(`${server}: ${messageOf(error)}`);
          if (error instanceof LdapError && error.answered) break;
          avoided.set(server, now().getTime() + avoidance);
          log.warn(`directory ${name}: ${server}: ${messageOf(error)}`);
        }
      }
      throw new SteelyardError("not-ready", `directory ${name}: ${failures.join("; ")}`);
    } finally {
      running -= 1;
    }
  }

  function orderServers(servers: readonly string[]): string[] {
    const time = now().getTime();
    const isAvoided = (server: string) => (avoided.get(server) ?? 0) > time;
    return [...servers.filter((each) => !isAvoided(each)), ...servers.filter(isAvoided)];
  }

  return {
    list: ({ directories }) =>
      Object.entries(directories)
        .filter(([, { enabled }]) => enabled)
        .sort(([one, first], [other, second]) => first.order - second.order || (one < other ? -1 : 1)),
    check: (name, directory, user, password) =>
      ask(name, directory, (connection) => checkPassword(connection, directory, user, password, quiet)),
    lookUp: (name, directory, user) => ask(name, directory, (connection) => lookUp(connection, directory, user, quiet)),

    async tell(directory, user, password) {
      const steps: LookupStep[] = [];
      for (const server of directory.servers) {
        const trace: Trace = (step) => void steps.push({ ...step, server });
        try {
          const answer = await talk(directory, server, trace, (connection) =>
            checkPassword(connection, directory, user, password, trace),
          );
          return { answer, steps };
        } catch (error) {
          const step = error instanceof LdapError ? error.phase : "search";
          trace({ step, ok: false, detail: messageOf(error) });
          if (error instanceof LdapError && error.answered) break;
        }
      }
      return { answer: undefined, steps };
    },
  };
}

async function talk<Result>(
  directory: Directory,
  url: string,
  trace: Trace,
  question: (connection: LdapConnection) => Promise<Result>,
): Promise<Result> {
  const { scheme, host, port } = splitServer(url);
  const { caCertificates, pinnedCertificates, serverName, allowUnencrypted, timeoutSeconds } = directory;
  const security = scheme === "ldaps" ? "ldaps" : allowUnencrypted ? "none" : "starttls";
  const connection = await openLdap({
    host,
    port,
    security,
    pins: pinnedCertificates,
    timeout: timeoutSeconds * 1000,
    ...(caCertificates === undefined ? {} : { ca: splitCertificates(caCertificates) }),
    ...(serverName === undefined ? {} : { serverName }),
  });
  try {
    trace({ step: "connect", ok: true, detail: `${host}:${port}` });
    const { tls } = connection;
    if (tls)
      trace({
        step: "tls",
        ok: true,
        detail: `${security}, ${tls.protocol}, ${tls.cipher}, SHA-256 ${tls.fingerprint}`,
      });
    return await question(connection);
  } finally {
    connection.close();
  }
}
