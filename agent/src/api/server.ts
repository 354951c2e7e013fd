import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { createSecureContext, type Server as TlsServer } from "node:tls";
import type { FastifyInstance } from "fastify";
import { auditControl, openAudit, recordMissed } from "../access/audit/audit.ts";
import { startExport } from "../access/audit/export/exporter.ts";
import { makeDirectoryAuthenticator } from "../access/directory/authenticator.ts";
import { makeDirectories } from "../access/directory/directories.ts";
import { watchDirectorySessions } from "../access/directory/recheck.ts";
import { openKeyUses } from "../access/key-use.ts";
import { makeLocalUsers } from "../access/local-users.ts";
import { type Authenticator, type LoginEvent, makeLogin, type SecondFactor } from "../access/login.ts";
import { currentRoles } from "../access/principal.ts";
import { findUser } from "../access/rights.ts";
import { makeSessionWriter, readSessions } from "../access/session-file.ts";
import { makeSessions } from "../access/sessions.ts";
import { makeTotpFactor } from "../access/totp/factor.ts";
import type { Machine } from "../adapters/machine.ts";
import { followSchedule } from "../backup/context.ts";
import type { ManagementCertificate, ManagementCertificates, ShownCertificate } from "../certificates/management.ts";
import { listStates } from "../certificates/validity.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import type { EventBus } from "../events/bus.ts";
import { type EventIntervals, makeEventHub } from "../events/hub.ts";
import { bridgeControl, lookAround } from "../events/sources.ts";
import { openJobs } from "../jobs/jobs.ts";
import { buildApplication, type Limits, limits as standardLimits } from "./application.ts";
import type { ApiContext, StatusReaders } from "./context.ts";
import { openIdempotencyStore } from "./idempotency-store.ts";
import { makeUserSockets } from "./user-sockets.ts";

export type { StatusReaders } from "./context.ts";

const socketPath = "/run/steelyard/api.sock";

export type ServerOptions = {
  control: ConfigurationControl;
  machine: Machine;
  status: StatusReaders;
  /** Of the appliance, shown in OpenAPI. */
  version: string;
  /**
   * Asked when HTTPS opens, after the first boot, when the box has its name; and after each commit. Left out, only the local
   * socket is served.
   */
  tls?: ManagementCertificates;
  /** Milliseconds between looks at the machine and signs of life, where tests want them soon. */
  eventIntervals?: EventIntervals;
  /** Milliseconds to the next try of a syslog server, where tests want it soon. */
  auditBackoff?: { first: number; longest: number };
  /** Where tests want to reach a limit soon. */
  limits?: Partial<Limits>;
  /** Who checks names and passwords after the users and the directories of the configuration. */
  authenticators?: readonly Authenticator[];
  secondFactors?: readonly SecondFactor[];
  onLogin?(event: LoginEvent): void;
};

export type Server = {
  /** The application behind the local socket, for `inject()`. */
  local: FastifyInstance;
  /** An application as HTTPS serves it, which does not listen: for `inject()`. */
  makeHttps(): Promise<FastifyInstance>;
  /**
   * Opens the local socket, and HTTPS as {@link Server.follow} does. Throws when the socket cannot be opened: without it
   * nobody could mend the rest.
   */
  listen(): Promise<void>;
  /**
   * Follows the configuration: HTTPS opens on the management port with the first one; when the port has changed, it opens on
   * the new one, and the old one closes when its requests are answered (the one that made the change among them). Another
   * certificate is shown to new connections, while those that are open go on. Call after each commit; cheap when nothing changed. A port that cannot be opened is logged and tried again, and the old one kept.
   */
  follow(): Promise<void>;
  /** Looks up anew what directories say of whoever is logged in by them, where it is due. */
  recheckDirectories(): Promise<void>;
  /** Tells those who follow the events. */
  publish: EventBus["publish"];
  /** Stops accepting, answers what is under way, removes the socket. */
  close(): Promise<void>;
};

/** Milliseconds until a port that could not be opened is tried again. */
const retryInterval = 10_000;
/** Milliseconds between two reminders of certificates that expire. */
const reminderInterval = 86_400_000;

/** The management API: the same routes over HTTPS, over the socket of root, who acts as `admin`, and over one socket per user. */
export async function createServer(options: ServerOptions): Promise<Server> {
  const { control, machine, status, version, tls, limits = {} } = options;
  const management = { shown: async () => https?.shown ?? (await chooseCertificate()), regenerate };
  const audit = await openAudit(machine);
  const auditExport = await startExport(control, audit.log, machine, options.auditBackoff);
  await recordMissed(audit, control);
  const stopAuditing = auditControl(audit, control);
  const totp = makeTotpFactor(control, machine);
  const secondFactors = [totp, ...(options.secondFactors ?? [])];
  const directories = makeDirectories(machine);
  const authenticators = [makeDirectoryAuthenticator(control, directories, machine), ...(options.authenticators ?? [])];
  const { sessions, login, keyUses, saved } = await makeAccess({ ...options, secondFactors, authenticators });
  const directorySessions = watchDirectorySessions({ control, directories, sessions, audit, machine });
  const idempotency = await openIdempotencyStore(machine);
  const events = makeEventHub(machine, options.eventIntervals);
  const jobs = await openJobs(machine, events.bus);
  const access = { sessions, login, keyUses, audit, auditExport, totp, directories };
  const context: ApiContext = {
    ...{ control, machine, status, version, idempotency, events, jobs, management, renewCertificate },
    ...access,
  };
  const stop = new AbortController();
  stop.signal.addEventListener("abort", bridgeControl(events.bus, control), { once: true });
  const socket = machine.path(socketPath);
  const local = await buildApplication(context, { transport: "local", version, limits });
  const userSockets = makeUserSockets(local, machine, { ...standardLimits, ...limits });
  let https: { app: FastifyInstance; port: number; shown: ShownCertificate } | undefined;
  let turn: Promise<void> = Promise.resolve();
  let retry: NodeJS.Timeout | undefined;
  let reminder: NodeJS.Timeout | undefined;
  let closed = false;

  async function makeHttps(): Promise<FastifyInstance> {
    return await buildHttps(await chooseCertificate());
  }

  async function buildHttps(shown: ShownCertificate): Promise<FastifyInstance> {
    return await buildApplication(context, { transport: "https", version, limits, https: tlsOptions(shown) });
  }

  /** One that OpenSSL takes: what it refuses gives way to the box's own. */
  async function chooseCertificate(): Promise<ShownCertificate> {
    if (!tls) throw new Error("HTTPS needs a certificate");
    const wanted = await tls.choose();
    try {
      createSecureContext(tlsOptions(wanted));
      return wanted;
    } catch (error) {
      if (wanted.name === undefined) throw error;
      return await tls.choose(messageOf(error));
    }
  }

  async function openWantedPort(): Promise<void> {
    const { generation, configuration } = control.current();
    const { port } = configuration.system.management;
    // Before the first boot the box serves nobody: there is no user, and no firewall of the operator's.
    if (closed || !tls || generation === 0) return;
    const shown = await chooseCertificate();
    if (https?.port === port) return await changeCertificate(https, shown);
    const app = await buildHttps(shown);
    try {
      await listenOn(app, port);
    } catch (error) {
      await app.close();
      throw error;
    }
    const previous = https?.app;
    https = { app, port, shown };
    await tls.note(shown);
    machine.log.info(`api: listening on port ${port}`);
    // Not awaited: it ends when the request that asked for the change has been answered.
    previous?.close().catch((error) => machine.log.error(`api: closing the old port: ${error}`));
  }

  /** Where HTTPS is not open, it is shown when it opens. */
  async function renewCertificate(): Promise<void> {
    if (https) await follow();
  }

  async function changeCertificate(open: NonNullable<typeof https>, shown: ShownCertificate): Promise<void> {
    const { certificate, key, reason } = open.shown;
    if (certificate === shown.certificate && key === shown.key && reason === shown.reason) return;
    (open.app.server as unknown as TlsServer).setSecureContext(tlsOptions(shown));
    open.shown = shown;
    await tls?.note(shown);
  }

  async function followUsers(): Promise<void> {
    if (!closed) await userSockets.follow(control.current().configuration);
  }

  /** One at a time: commits may follow each other faster than ports open. */
  function follow(): Promise<void> {
    clearTimeout(retry);
    turn = turn
      .then(followUsers)
      .then(openWantedPort)
      .catch((error) => {
        machine.log.error(`api: HTTPS cannot be opened: ${messageOf(error)}`);
        retry = setTimeout(() => void follow(), retryInterval).unref();
      });
    return turn;
  }

  async function regenerate(): Promise<void> {
    if (!tls) throw new SteelyardError("not-ready", "HTTPS is not served here");
    await tls.regenerate();
    await renewCertificate();
  }

  /** To the journal, and so to whatever reads it: what nobody looks at expires unseen. */
  function tellOfCertificates(): void {
    const { problems, warnings } = tls?.describe(machine.now()) ?? { problems: [], warnings: [] };
    for (const each of [...problems, ...warnings]) machine.log.warn(`certificates: ${each}`);
  }

  const readCertificateStates = async () => listStates(control.current().configuration, machine.now());

  return {
    local,
    makeHttps,
    async listen() {
      void lookAround(
        events.bus,
        { ...status, readCertificateStates },
        { signal: stop.signal, log: machine.log, ...options.eventIntervals },
      );
      void followSchedule(context, stop.signal, options.eventIntervals?.schedule);
      await listenLocally(local, socket);
      await follow();
      tellOfCertificates();
      reminder = setInterval(tellOfCertificates, reminderInterval).unref();
    },
    follow,
    recheckDirectories: () => directorySessions.recheck(),
    publish: events.bus.publish,
    async close() {
      closed = true;
      stop.abort();
      clearTimeout(retry);
      clearInterval(reminder);
      await turn;
      await jobs.close();
      // At once: closing the application ends the streams that the users' sockets would wait for.
      await Promise.all([local.close(), userSockets.close(), https?.app.close()]);
      await directorySessions.stop();
      await saved();
      stopAuditing();
      await auditExport.close();
      await audit.close();
      await rm(socket, { force: true });
    },
  };
}

/** Sessions, keys and the login chain. `saved` waits until what is kept of them is written. */
async function makeAccess({ control, machine, authenticators = [], secondFactors = [], onLogin }: ServerOptions) {
  const write = makeSessionWriter(machine);
  let last: Promise<void> = Promise.resolve();
  const configuration = () => control.current().configuration;
  const sessions = makeSessions(machine, {
    limits: () => configuration().access.sessions,
    saved: await readSessions(machine),
    save: (each) => {
      last = write(each);
    },
  });
  const login = makeLogin(
    {
      authenticators: [makeLocalUsers(control, machine), ...authenticators],
      secondFactors,
      isKnown: (user) => findUser(configuration(), user) !== undefined,
      isCurrent: (account) => currentRoles(configuration(), account, machine.now()) !== undefined,
      ...(onLogin ? { onEvent: onLogin } : {}),
    },
    machine,
  );
  const keyUses = await openKeyUses(machine, (id) => Object.hasOwn(configuration().apiKeys, id));
  const saved = async () => {
    await last;
    await keyUses.flush();
  };
  return { sessions, login, keyUses, saved };
}

/** Mozilla's intermediate list for an ECDSA or RSA certificate: TLS 1.2 with forward secrecy and AEAD alone, and TLS 1.3. */
function tlsOptions({ key, certificate }: ManagementCertificate) {
  return {
    key,
    cert: certificate,
    // Milliseconds for a client to get through the handshake; node would wait two minutes.
    handshakeTimeout: 10_000,
    minVersion: "TLSv1.2" as const,
    honorCipherOrder: true,
    ciphers: [
      "TLS_AES_128_GCM_SHA256",
      "TLS_AES_256_GCM_SHA384",
      "TLS_CHACHA20_POLY1305_SHA256",
      "ECDHE-ECDSA-AES128-GCM-SHA256",
      "ECDHE-RSA-AES128-GCM-SHA256",
      "ECDHE-ECDSA-AES256-GCM-SHA384",
      "ECDHE-RSA-AES256-GCM-SHA384",
      "ECDHE-ECDSA-CHACHA20-POLY1305",
      "ECDHE-RSA-CHACHA20-POLY1305",
    ].join(":"),
  };
}

/** All addresses of both families; which interfaces may reach the port is the firewall's concern. */
async function listenOn(app: FastifyInstance, port: number): Promise<void> {
  try {
    await app.listen({ host: "::", port });
  } catch (error) {
    // A kernel without IPv6.
    if ((error as NodeJS.ErrnoException).code !== "EAFNOSUPPORT") throw error;
    await app.listen({ host: "0.0.0.0", port });
  }
}

/**
 * Mode 0600, root's: whoever comes in here is the administrator. Between listen and chmod the umask (0022, systemd's own)
 * keeps all but root out, since connecting takes the permission to write (unix(7)).
 */
async function listenLocally(app: FastifyInstance, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await app.listen({ path });
  await chmod(path, 0o600);
}
