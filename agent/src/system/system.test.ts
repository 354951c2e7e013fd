import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { writeAtomically } from "../adapters/files.ts";
import { makeMachine } from "../adapters/machine.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { systemExecutors } from "./apply.ts";
import { system } from "./index.ts";
import { deriveNodeId } from "./node-id.ts";
import { planSystem } from "./plan.ts";
import { renderSystem } from "./render.ts";
import { readSystemStatus } from "./status.ts";
import { parseTime } from "./time-status.ts";
import { verifySystem } from "./verify.ts";

const hash = `$7$DU..../....${"a".repeat(32)}$${"b".repeat(43)}`;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";

function make(parts: { system?: unknown; interfaces?: unknown; users?: unknown }): Configuration {
  return configuration.parse({ ...emptyConfiguration(), ...parts });
}

/** A machine whose systemd is a set of running units. `answer` may speak for a command. */
function setUp(
  t: Test,
  answer: (argv: readonly string[]) => { code: number; stderr: string } | undefined = () => undefined,
) {
  const log: string[] = [];
  const running = new Set<string>();
  const order = (verb: string, change: (unit: string) => void) => async (unit: string) => {
    log.push(`${verb} ${unit}`);
    change(unit);
  };
  const add = (unit: string) => void running.add(unit);
  const machine = makeMachine({
    root: t.testdir(),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    systemd: {
      start: order("start", add),
      stop: order("stop", (unit) => running.delete(unit)),
      restart: order("restart", add),
      reload: order("reload", () => {}),
      isActive: async (unit) => running.has(unit),
    },
    run: async (argv) => {
      log.push(argv.map((each) => each.replace(/new-[0-9a-f]+/, "new")).join(" "));
      const [program, , name = ""] = argv;
      if (program === "hostnamectl") await writeAtomically(machine.path("/etc/hostname"), `${name}\n`);
      if (program === "ssh-keygen") {
        const path = argv.at(-1) ?? "";
        await fs.writeFile(path, `private ${argv[3]}`);
        await fs.writeFile(`${path}.pub`, `public ${argv[3]}`);
      }
      return { code: 0, stdout: "", stderr: "", ...answer(argv) };
    },
  });
  const apply = async (wanted: Configuration) => {
    log.length = 0;
    await system.check(wanted, machine);
    const steps = await system.plan(wanted, machine);
    for (const step of steps) await step.execute();
    return steps.map(({ summary }) => summary);
  };
  return { machine, log, running, apply };
}

t.test("every mistake is found at once, each with its path", async (t) => {
  const say = (parts: Parameters<typeof make>[0]) =>
    verifySystem(make(parts)).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
  t.same(
    say({ system: { management: { interfaces: ["nic0"] } }, interfaces: { nic0: { ipv4: { method: "dhcp" } } } }),
    [],
  );
  t.same(
    say({
      system: {
        hostname: "localhost.localdomain",
        management: { interfaces: ["nic0", "nic0", "nic1", "nic2", "toString"], port: 22 },
        ssh: { enabled: true },
        ntp: { servers: ["192.0.2.1", "ntp.example.com"] },
      },
      interfaces: {
        nic0: { ipv4: { method: "static", addresses: ["192.0.2.5/24"] } },
        nic1: { enabled: false },
        nic2: {},
      },
      users: { admin: { passwordHash: hash } },
    }),
    [
      "error system.hostname: expected a name of its own, not localhost",
      "error system.management.interfaces.1: expected each interface once, but nic0 stands here again",
      "warning system.management.interfaces.2: nic1 is disabled, so nothing answers there",
      "warning system.management.interfaces.3: nic2 has no address of its own, so nothing answers there but virtual addresses",
      "error system.management.interfaces.4: expected a configured interface: nic0, nic1, nic2",
      "error system.ssh.port: expected another port than that of the API, 22",
      "warning system.ssh.enabled: nobody can log in: no user has an SSH key or a password that SSH would take",
      "warning system.ntp.servers.1: ntp.example.com cannot be looked up: there is no DNS server in system.dns.servers",
    ],
  );
  t.match(say({ users: { admin: { sshKeys: [key] } } }), [
    /^warning/,
    /^error system.ssh.enabled: expected true, for no user has a password/,
  ]);
  t.match(say({ system: { ssh: { enabled: true } }, users: { admin: { sshKeys: [key] } } }), [
    /^warning/,
    /^error system.management.interfaces: expected an interface for SSH/,
  ]);
  t.same(say({}), ["warning system.management.interfaces: is empty: the box can be managed from its console only"]);
});

t.test("the rendered files", async (t) => {
  const artefacts = renderSystem(
    make({
      system: {
        hostname: "lb1.example.com",
        dns: {
          servers: ["192.0.2.53", "2001:DB8::53#dns.example.com"],
          search: ["example.com", "example.net"],
          dnssec: "allow-downgrade",
          overTls: "yes",
        },
        ntp: { servers: ["192.0.2.123", { address: "time.example.com", nts: true, prefer: true, port: 1123 }] },
        hosts: [{ address: "2001:DB8::80", names: ["files.example.com", "files"] }],
        proxy: { url: "http://proxy.example.com:3128", bypass: ["example.net", "192.0.2.0/24"] },
        ssh: { enabled: true, port: 2222 },
      },
      users: { admin: { sshKeys: [key] } },
    }),
  );
  t.equal(artefacts.hostname, "lb1.example.com");
  t.matchSnapshot(artefacts.resolver, "resolved");
  t.matchSnapshot(artefacts.time.file, "chrony");
  t.matchSnapshot(artefacts.hosts, "hosts");
  t.matchSnapshot(artefacts.proxy, "proxy");
  t.matchSnapshot(artefacts.ssh.file, "sshd");
  t.match(
    renderSystem(emptyConfiguration()).ssh.file,
    /^DenyUsers \*$/m,
    "no users, nobody: an empty list would mean all",
  );
});

t.test(
  "LLDP: the image's file listens on cards that are not configured; another one is put in its place",
  async (t) => {
    const lldpOf = (lldp: string) => renderSystem(make({ system: { lldp } })).lldp;
    t.equal(lldpOf("receive"), "");
    t.matchSnapshot(lldpOf("both"), "both");
    const path = new URL("../../../image/overlay/usr/lib/systemd/network/90-steelyard-lldp.network", import.meta.url);
    const settings = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const image = settings(await fs.readFile(path, "utf8"));
    t.same(settings(lldpOf("both")), [...image, "EmitLLDP=nearest-bridge"]);
    t.same(settings(lldpOf("off")), [...image.slice(0, -1), "LLDP=no"]);

    const commands: string[] = [];
    const root = t.testdir();
    const run = async (argv: readonly string[]) => {
      commands.push(argv.join(" "));
      return { code: 0, stdout: "", stderr: "" };
    };
    const machine = makeMachine({ root, run });
    const set = (file: string) =>
      systemExecutors["configure-lldp"]({ kind: "configure-lldp", summary: "", file }, machine, { tolerant: false });
    const file = `${root}/run/systemd/network/90-steelyard-lldp.network`;
    await set(lldpOf("off"));
    t.equal(await fs.readFile(file, "utf8"), lldpOf("off"));
    await set("");
    await t.rejects(fs.readFile(file), { code: "ENOENT" });
    t.same(commands, ["networkctl reload", "networkctl reload"]);
    const [quiet, loud] = ["receive", "both"].map((lldp) => renderSystem(make({ system: { lldp } })));
    if (!quiet || !loud) return;
    t.match(planSystem(quiet, loud), [{ kind: "configure-lldp", file: /EmitLLDP/ }]);
    t.match(planSystem(loud, quiet), [{ kind: "configure-lldp", file: "" }]);
  },
);

t.test("only what differs is touched", async (t) => {
  const quiet = renderSystem(emptyConfiguration());
  t.same(planSystem(quiet, quiet), []);
  t.same(planSystem({ ...quiet, ssh: { file: "old", running: false } }, quiet), [], "the file of a daemon that rests");
  t.match(planSystem({ ...quiet, time: { ...quiet.time, running: true } }, quiet), [
    { summary: "stop time synchronization" },
  ]);
});

t.test("from an empty box to a configured one and back", async (t) => {
  const { machine, log, running, apply } = setUp(t);
  const wanted = make({
    system: { hostname: "lb1", ntp: { servers: ["192.0.2.123"] }, ssh: { enabled: true } },
    users: { admin: { sshKeys: [key] } },
  });
  t.same(await apply(wanted), [
    "set the host name lb1",
    "write the static host names",
    "configure DNS",
    "start time synchronization",
    "start SSH",
  ]);
  const candidate = machine.path("/run/steelyard/ssh/candidate.conf");
  const scratch = machine.path("/run/steelyard/ssh/new");
  t.same(log, [
    `ssh-keygen -q -t ed25519 -N  -C steelyard -f ${scratch}`,
    `ssh-keygen -q -t ecdsa -N  -C steelyard -f ${scratch}`,
    `sshd -t -f ${candidate}`,
    "hostnamectl hostname lb1",
    "restart systemd-resolved.service",
    "restart chrony.service",
    "start ssh.service",
  ]);
  const keyFile = machine.path("/config/local/ssh/ssh_host_ed25519_key");
  t.equal((await fs.stat(keyFile)).mode & 0o777, 0o600);
  t.equal((await fs.stat(machine.path("/run/systemd/resolved.conf.d"))).mode & 0o777, 0o755, "resolved must get in");
  t.same(await fs.readdir(machine.path("/run/steelyard/ssh")), ["candidate.conf"], "no private key is left in /run");
  t.same(await apply(wanted), []);

  const moved = make({ ...wanted, system: { ...wanted.system, ssh: { enabled: true, port: 2222 } } });
  t.same(await apply(moved), ["configure SSH"]);
  t.same(log, [`sshd -t -f ${candidate}`, "reload ssh.service"], "sessions and host keys stay");
  t.equal(await fs.readFile(keyFile, "utf8"), "private ed25519");

  running.delete("ssh.service");
  t.same(await apply(moved), ["start SSH"], "a daemon that died is drift");

  t.same(await apply(make({ system: { hostname: "lb1" } })), ["stop time synchronization", "stop SSH"]);
  t.same(log, ["stop chrony.service", "stop ssh.service"]);
  t.notOk(existsSync(machine.path("/etc/ssh/sshd_config.d/10-steelyard.conf")));
});

t.test("time servers, static names, resolvers and the proxy are checked field by field", async (t) => {
  const refuse = (fields: object) =>
    configuration.safeParse({ ...emptyConfiguration(), system: fields }).error?.issues ?? [];
  for (const [fields, path, expected] of [
    [{ timeZone: "Europe/Nowhere" }, "system.timeZone", /time zone of the tz database/],
    [{ timeZone: "../../etc/passwd" }, "system.timeZone", /time zone/],
    [{ dns: { servers: ["192.0.2.53#no name"] } }, "system.dns.servers.0", /expected an IPv4 or IPv6 address/],
    [{ dns: { dnssec: "maybe" } }, "system.dns.dnssec", /expected no, allow-downgrade or yes/],
    [{ proxy: { url: "http://me:secret@proxy:3128" } }, "system.proxy.url", /without a password/],
    [{ proxy: { url: "http://proxy:3128/'; true" } }, "system.proxy.url", /address of an HTTP proxy/],
    [{ proxy: { bypass: ["a b"] } }, "system.proxy.bypass.0", /expected a domain/],
    [{ hosts: [{ address: "192.0.2.1", names: [] }] }, "system.hosts.0.names", /at least one name/],
  ] as const) {
    const [issue] = refuse(fields);
    t.equal(issue?.path.join("."), path);
    t.match(issue?.message, expected);
  }
  const findings = verifySystem(
    make({
      system: {
        ntp: { servers: [{ address: "192.0.2.1", nts: true }, "time.example.com"] },
        dns: { overTls: "yes", servers: ["192.0.2.53"] },
        hosts: [
          { address: "192.0.2.1", names: ["time.example.com", "localhost"] },
          { address: "192.0.2.2", names: ["TIME.example.com"] },
        ],
      },
    }),
  );
  t.match(
    findings.map(({ severity, path }) => `${severity} ${path}`),
    [
      "warning system.management.interfaces",
      "error system.ntp.servers.0.address",
      "warning system.dns.servers.0",
      "error system.hosts.0.names",
      "warning system.hosts.1.names",
    ],
  );
});

t.test("time zone, static names and proxy come and go", async (t) => {
  const { machine, apply } = setUp(t);
  const zones = machine.path("/usr/share/zoneinfo");
  await fs.mkdir(`${zones}/Europe`, { recursive: true });
  for (const name of ["UTC", "Europe/Berlin"]) await fs.writeFile(`${zones}/${name}`, "TZif");
  const proxy = { url: "http://proxy.example.com:3128" };
  const steps = await apply(make({ system: { timeZone: "Europe/Berlin", proxy } }));
  t.match(steps, ["set the host name steelyard", "write the static host names", "configure DNS"]);
  t.match(steps.slice(3), ["set the time zone Europe/Berlin", "configure the proxy of shells"]);
  t.equal(await fs.readlink(machine.path("/etc/localtime")), "../usr/share/zoneinfo/Europe/Berlin");
  t.match(await fs.readFile(machine.path("/etc/profile.d/steelyard-proxy.sh"), "utf8"), /^export https_proxy='http:/m);
  t.same(await apply(make({})), ["set the time zone UTC", "remove the proxy of shells"]);
  t.notOk(existsSync(machine.path("/etc/profile.d/steelyard-proxy.sh")));
  await t.rejects(apply(make({ system: { timeZone: "Asia/Tokyo" } })), {
    code: "apply-failed",
    problems: [{ path: "system.timeZone" }],
  });
});

t.test("the clock in chrony's words", async (t) => {
  const tracking =
    "C0000202,time.example.com,3,1767323045.1,0.000012,-0.00001,0.0001,1.5,0.0,0.1,0.01,0.001,64.0,Normal\n";
  const sources =
    "^,*,time.example.com,2,6,377,12,0.000034,0.000030,0.001\n^,?,192.0.2.9,0,7,0,4294967295,0.0,0.0,0.0\n";
  const authentication = "time.example.com,NTS,1,15,256,33m,0,0,8,100\n192.0.2.9,-,0,0,0,-,0,0,0,0\n";
  t.same(parseTime(tracking, sources, authentication), {
    synchronized: true,
    stratum: 3,
    offset: 0.000012,
    sources: [
      { server: "time.example.com", state: "selected", stratum: 2, answered: 8, offset: 0.000034, nts: true },
      { server: "192.0.2.9", state: "unreachable", stratum: 0, answered: 0, offset: 0, nts: false },
    ],
  });
  const lost = tracking.replace("Normal", "Not synchronised");
  t.match(parseTime(lost, "", ""), { synchronized: false, stratum: undefined, sources: [] });
  t.equal(parseTime("506 Cannot talk to daemon\n", "", ""), undefined);
});

t.test("sshd has the last word on its configuration", async (t) => {
  const { apply, running } = setUp(t, ([program]) =>
    program === "sshd" ? { code: 255, stderr: "candidate.conf: line 2: Badly formatted port number.\n" } : undefined,
  );
  await t.rejects(apply(make({ system: { ssh: { enabled: true } }, users: { admin: { sshKeys: [key] } } })), {
    code: "invalid-configuration",
    problems: [{ path: "system.ssh" }],
    message: /line 2: Badly formatted port number\.$/,
  });
  t.equal(running.size, 0);
});

t.test("how the box is", async (t) => {
  const machine = makeMachine({
    root: t.testdir({
      etc: { hostname: "lb1\n" },
      config: {},
      proc: {
        cmdline: "root=/dev/mapper/root steelyard.slot=b quiet\n",
        uptime: "1234.56 2000.00\n",
        loadavg: "0.50 0.25 0.10 1/99 1234\n",
        meminfo: "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     500 kB\n",
      },
      usr: {
        lib: { "os-release": 'ID=steelyard\nVERSION_ID="0.1.0"\nIMAGE_ID=steelyard-virt\nIMAGE_VERSION=0.1.0\n' },
      },
    }),
    now: () => new Date("2026-01-02T03:04:05Z"),
    run: async (argv) => {
      const list = argv.includes("list-units");
      const shown =
        "Id=ssh.service\nLoadState=loaded\nActiveState=inactive\n\nId=gdnsd.service\nLoadState=not-found\nActiveState=inactive\n";
      return {
        code: 0,
        stderr: "",
        stdout: list ? "haproxy.service loaded failed failed HAProxy Load Balancer\n" : shown,
      };
    },
  });
  const status = await readSystemStatus(machine, {
    current: () => ({ generation: 7, configuration: emptyConfiguration() }),
    damage: () => ({ generation: 8, serving: 7, reason: "incompatible", message: "a newer system wrote it" }),
    pending: () => ({
      ...{ generation: 9, parent: 7, author: "anna", source: "192.0.2.7", message: "change nic0", reasons: [] },
      ...{ time: "2026-01-02T03:04:05.000Z", deadline: "2026-01-02T03:09:05.123Z" },
    }),
  });
  t.match(status, {
    hostname: "lb1",
    version: "0.1.0",
    image: "steelyard-virt 0.1.0",
    slot: "b",
    uptime: 1234,
    time: "2026-01-02T03:04:05.000Z",
    memory: { total: 1_024_000, available: 512_000 },
    load: [0.5, 0.25, 0.1],
    generation: 7,
    health: "degraded",
    problems: [
      "configuration incompatible, serving generation 7: a newer system wrote it (start the newer system again, or go on from what serves: steelyard config rollback 7)",
      "haproxy.service has failed",
    ],
    warnings: [
      "generation 9 by anna (192.0.2.7) is not confirmed: generation 7 comes back at 2026-01-02T03:09:05Z (steelyard config confirm): change nic0",
    ],
    units: [{ name: "ssh.service", state: "inactive" }],
    failedUnits: ["haproxy.service"],
  });
  t.match(status.disks, [{ path: "/config", size: Number, used: Number, available: Number }], "there is no /data here");
});

t.test("the id of a node is derived from the machine id as systemd does it, and does not show it", async (t) => {
  // systemd-id128 machine-id --uuid --app-specific=…, with this machine id.
  t.equal(deriveNodeId("0123456789abcdef0123456789abcdef\n"), "c181a36f-4f47-46ad-89b8-58194f6ada19");
  t.not(deriveNodeId("1123456789abcdef0123456789abcdef\n"), deriveNodeId("0123456789abcdef0123456789abcdef\n"));
  t.equal(deriveNodeId("uninitialized\n"), undefined);
});
