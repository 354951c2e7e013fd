import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import type { z } from "zod";
import { hashPassword } from "../access/password.ts";
import { user } from "../access/schema.ts";
import type { BootClock } from "../adapters/boot-clock.ts";
import { writeAtomically } from "../adapters/files.ts";
import { makeMachine } from "../adapters/machine.ts";
import type { Netlink } from "../adapters/netlink.ts";
import type { Run } from "../adapters/process.ts";
import { certificates } from "../certificates/index.ts";
import {
  certificatePath,
  ensureManagementCertificate,
  keyPath,
  type ManagementCertificate,
  makeManagementCertificates,
} from "../certificates/management.ts";
import { makeControl } from "../commit/commit.ts";
import { defineSubsystem, type Finding, type StepBase, type Subsystem } from "../commit/subsystem.ts";
import { openStore } from "../configuration/store.ts";
import type { uplinkFarmStatus } from "../dslb/routes.ts";
import { SteelyardError } from "../errors.ts";
import type { Link } from "../network/link-routes.ts";
import { endangersSystem } from "../system/endangers.ts";
import { describeDamage } from "../system/status.ts";
import { createServer, type ServerOptions } from "./server.ts";

/** What the tests of the API and of the command stand on: the real configuration file system and commit pipeline on a root of their own. */

export const password = "correct horse battery";
/** Its hash of little work, made once for all servers of a test: the hash says what it costs to check. */
let passwordHash: Promise<string> | undefined;
/** The certificate that a box makes for itself, made once too: that takes as long as half a server. */
let ownCertificate: Promise<ManagementCertificate> | undefined;
export const quiet = { info: () => {}, warn: () => {}, error: () => {} };

type Artefacts = Record<string, string>;
type RememberStep = StepBase & { kind: "remember"; farms: Artefacts };

/**
 * A data plane that remembers farms. The description of a farm tells it what to do: `odd` warns, `wrong` does not verify,
 * `refuse` cannot be applied.
 */
function rememberFarms() {
  let remembered: Artefacts = {};
  return defineSubsystem<Artefacts, RememberStep>({
    name: "memory",
    dependsOn: [],
    verify: ({ farms }) =>
      Object.entries(farms).flatMap(([name, { description }]): Finding[] => {
        const path = `farms.${name}.description`;
        if (description === "odd") return [{ severity: "warning", path, message: "is odd, “really”" }];
        if (description === "wrong") return [{ severity: "error", path, message: "expected another" }];
        return [];
      }),
    render: ({ farms }) => Object.fromEntries(Object.entries(farms).map(([name, farm]) => [name, farm.description])),
    observe: async () => remembered,
    // What the system itself says, without its daemons.
    endangers: endangersSystem,
    plan: (now, wanted) =>
      JSON.stringify(now) === JSON.stringify(wanted)
        ? []
        : [{ kind: "remember", summary: `remember ${Object.keys(wanted).join(", ")}`, farms: wanted }],
    executors: {
      remember: async ({ farms }) => {
        if (Object.values(farms).includes("refuse")) throw new Error("the daemon says no");
        remembered = farms;
      },
    },
  });
}

/** A port nobody listens on now. */
export async function findFreePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "::", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

type TestOptions = Partial<ServerOptions> & {
  withUser?: boolean;
  /** False: the server makes its own certificate as a new box does. */
  sharesCertificate?: boolean;
  subsystems?: readonly Subsystem[];
  run?: Run;
  netlink?: Netlink;
  bootClock?: BootClock;
  links?: readonly Link[];
  /** One that waits is used when it is given back. */
  uplinks?: readonly z.output<typeof uplinkFarmStatus>[];
};

/** A server on a fresh root, its clock in `clock.time`; `admin` has {@link password} unless told otherwise. */
export async function setUpServer(t: Pick<Test, "teardown">, options: TestOptions = {}) {
  const { withUser = true, sharesCertificate = true, links = [], uplinks = [], ...more } = options;
  const { subsystems = [rememberFarms(), certificates], run, netlink, bootClock, ...rest } = more;
  // A socket's path has room for 107 bytes (unix(7)), so not below the checkout; in memory, for a disk waits at each fsync.
  const root = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "steelyard-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const clock = { time: Date.parse("2026-01-02T03:04:05Z") };
  const log: string[] = [];
  const keep = (line: string) => void log.push(line);
  const machine = makeMachine({
    root,
    log: { info: keep, warn: keep, error: keep },
    now: () => new Date(clock.time),
    ...(run ? { run } : {}),
    ...(netlink ? { netlink } : {}),
    ...(bootClock ? { bootClock } : {}),
  });
  if (sharesCertificate) {
    ownCertificate ??= ensureManagementCertificate(makeMachine({ root, log: quiet }), "steelyard");
    const { key, certificate } = await ownCertificate;
    await writeAtomically(machine.path(keyPath), key, 0o600);
    await writeAtomically(machine.path(certificatePath), certificate, 0o644);
  }
  const store = await openStore(machine.path("/config"), quiet);
  const control = makeControl(store, subsystems, machine);
  if (withUser) {
    passwordHash ??= hashPassword(password, machine.randomBytes, { logN: 4, r: 8, p: 1 });
    const admin = user.parse({ passwordHash: await passwordHash, roles: ["admin"] });
    await control.commit({
      author: { user: "admin", source: "answer-file" },
      message: "first boot",
      change: (current) => ({ ...current, users: { admin } }),
    });
  }
  const tls = makeManagementCertificates(machine, () => control.current().configuration);
  const server = await createServer({
    control,
    machine,
    version: "0.0.0",
    tls,
    status: {
      readFarmStatuses: async (names = Object.keys(control.current().configuration.farms)) =>
        names.map((name) => ({ name, state: "up", backends: [] })),
      readLinks: async () => [...links],
      readFarmStates: async () =>
        Object.entries(control.current().configuration.farms).map(([name, { enabled }]) => ({
          name,
          state: enabled ? ("up" as const) : ("disabled" as const),
          backends: [],
        })),
      readStatistics: async () => ({ load: [0, 0, 0] }),
      readRoutes: async () => [],
      readRules: async () => [],
      readUplinkStatuses: async () => [...uplinks],
      returnUplink: async (farm, name) => {
        const found = uplinks.find((each) => each.name === farm)?.uplinks.find((each) => each.name === name);
        if (found?.state !== "waiting") return false;
        found.state = "used";
        return true;
      },
      readInterfaceStatus: async (name) => {
        throw new SteelyardError("not-found", `there is no interface ${name}`);
      },
      readSystemStatus: async () => ({
        hostname: "steelyard",
        version: "0.0.0",
        uptime: 61,
        time: machine.now().toISOString(),
        memory: { total: 1024, available: 512 },
        load: [0, 0, 0],
        generation: control.current().generation,
        health: control.damage() ? "degraded" : "ok",
        problems: describeDamage(control.damage()),
        warnings: tls.describe(machine.now()).warnings,
        disks: [],
        units: [],
        failedUnits: [],
      }),
    },
    ...rest,
  });
  t.teardown(() => server.close());
  const https = await server.makeHttps();
  log.length = 0;
  t.teardown(() => https.close());
  return { server, https, control, machine, clock, log };
}
