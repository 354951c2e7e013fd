import * as fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { verifyPassword } from "../access/password.ts";
import { makeMachine } from "../adapters/machine.ts";
import type { RunResult } from "../adapters/process.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { makeControl } from "../commit/commit.ts";
import { defineSubsystem } from "../commit/subsystem.ts";
import { openStore } from "../configuration/store.ts";
import { SteelyardError } from "../errors.ts";
import { verifyNetwork } from "../network/verify.ts";
import { parseAnswerFile } from "./answer-file.ts";
import { completeFirstBoot } from "./complete.ts";
import { type Draft, emptyDraft } from "./draft.ts";
import { runFirstBoot } from "./first-boot.ts";
import { readReport } from "./report.ts";
import { readFirstBootState } from "./state.ts";
import { makeTrial } from "./trial.ts";
import { withTrialLinks } from "./trial-links.ts";

const password = "correct horse battery";
const good = `#steelyard
version: 1
admin:
  password: "${password}"
system: { hostname: lb1, management: { interfaces: [nic0] } }
interfaces:
  nic0: { ipv4: { method: static, addresses: [192.0.2.5/24], gateway: 192.0.2.1 } }
virtualAddresses:
  web: { interface: nic0, address: 192.0.2.10/24 }
`;

type Disk = { label: string; fstype?: string; sequence: number; files: Record<string, string>; partition?: boolean };

/** A box with a store of its own, disks that a test plugs in, and the network's verify as its one subsystem. */
async function setUp(t: Test) {
  const disks = new Map<string, Disk>();
  const commands: string[] = [];
  const log: string[] = [];
  const say = (text: string) => void log.push(text);
  const root = t.testdir();
  const run = async (argv: readonly [string, ...string[]]): Promise<RunResult> => {
    commands.push(argv.map((each) => each.replace(root, "")).join(" "));
    const mountPoint = argv.at(-1) ?? "";
    if (argv[0] === "systemd-mount") {
      await fs.mkdir(mountPoint, { recursive: true });
      const files = disks.get(argv.at(-2) ?? "")?.files ?? {};
      for (const [name, text] of Object.entries(files)) await fs.writeFile(join(mountPoint, name), text);
    }
    if (argv[0] === "systemd-umount") await fs.rm(mountPoint, { recursive: true });
    const blockdevices = [...disks].map(([name, { label, fstype = "vfat", sequence, partition }]) => {
      const volume = { name, label, fstype, "disk-seq": partition ? null : sequence };
      return partition
        ? { name: name.slice(0, -1), label: null, fstype: null, "disk-seq": sequence, children: [volume] }
        : volume;
    });
    return { code: 0, stdout: argv[0] === "lsblk" ? JSON.stringify({ blockdevices }) : "", stderr: "" };
  };
  const machine = makeMachine({ root, run, log: { info: say, warn: say, error: say } });
  const verifier = defineSubsystem({
    name: "network",
    dependsOn: [],
    verify: verifyNetwork,
    render: () => ({}),
    observe: async () => ({}),
    plan: () => [],
    executors: {},
  });
  const store = await openStore(machine.path("/config"), machine.log);
  const control = makeControl(store, [verifier], machine);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const start = () => runFirstBoot({ machine, control, signal: stop.signal, interval: 10 });
  const reach = async (wanted: string) => {
    for (let tries = 0; tries < 500; tries += 1) {
      const state = await readFirstBootState(machine);
      if (state?.state === wanted) return state;
      await sleep(10);
    }
    throw new Error(`never came to ${wanted}: ${JSON.stringify(await readFirstBootState(machine))}`);
  };
  return { machine, control, disks, commands, log, stop, start, reach };
}

/** What is wrong with a file, as the console shows it. */
function complaints(text: string): string[] {
  const parsed = parseAnswerFile(text);
  return "problems" in parsed ? parsed.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`) : [];
}

t.test("an answer file becomes the first generation", async (t) => {
  const { machine, control, disks, commands, log, start } = await setUp(t);
  disks.set("/dev/vda1", { label: "steelyard-config", sequence: 1, files: {} });
  disks.set("/dev/sdb1", { label: "STEELYARD", sequence: 2, files: { "STEELYARD.YAML": good }, partition: true });
  await start();
  const { generation, configuration } = control.current();
  t.equal(generation, 1);
  t.equal(configuration.system.hostname, "lb1");
  t.equal(configuration.system.management.port, 444, "what the file leaves out has its default");
  t.equal(configuration.virtualAddresses.web?.address, "192.0.2.10/24");
  t.ok(await verifyPassword(password, configuration.users.admin?.passwordHash ?? ""));
  t.match(await control.history(), [{ author: "admin", source: "answer-file", message: "first boot" }]);
  t.same(await readFirstBootState(machine), { state: "done" });
  t.same(commands, [
    "udevadm settle --timeout=60",
    "lsblk --json --paths --output NAME,LABEL,FSTYPE,DISK-SEQ",
    "systemd-mount --quiet --collect --fsck=no --type=vfat --options=ro,nosuid,nodev,noexec /dev/sdb1 /run/steelyard/answer-file",
    "systemd-umount --quiet /run/steelyard/answer-file",
  ]);
  t.match(await readReport(machine), {
    source: "steelyard.yaml on /dev/sdb1",
    sha256: /^[0-9a-f]{64}$/,
    outcome: "applied",
    generation: 1,
    applied: { hostname: "lb1", admin: ["password"], interfaces: ["nic0"], virtualAddresses: ["web"], farms: [] },
    problems: [],
  });
  t.notMatch(JSON.stringify(await readReport(machine)), password);
  const stored = await fs.readdir(machine.path("/config"), { recursive: true, withFileTypes: true });
  for (const file of stored.filter((each) => each.isFile()))
    t.notMatch(await fs.readFile(join(file.parentPath, file.name), "utf8"), password, `${file.name} has no password`);
  t.notMatch(log.join("\n"), password);

  commands.length = 0;
  await start();
  t.same(commands, [], "a box with a configuration looks at no disk");
});

t.test("NoCloud's user-data is the same file; its meta-data may give the name", async (t) => {
  const { control, disks, start, reach, commands } = await setUp(t);
  disks.set("/dev/sr0", { label: "cidata", fstype: "iso9660", sequence: 1, files: { "user-data": "#cloud-config\n" } });
  const running = start();
  await reach("waiting-for-answer");
  t.equal(control.current().generation, 0, "a file for cloud-init is not ours");
  const userData = good.replace("hostname: lb1, ", "");
  const files = { "user-data": userData, "meta-data": "instance-id: i-1\nlocal-hostname: from-cloud\n" };
  disks.set("/dev/sr0", { label: "CIDATA", fstype: "iso9660", sequence: 2, files });
  await running;
  t.equal(control.current().configuration.system.hostname, "from-cloud");
  t.equal(commands.filter((each) => each.startsWith("systemd-mount")).length, 2, "each disc is read once");
});

t.test("a bad file configures nothing, is explained, and is read again when its disk was replaced", async (t) => {
  const { machine, control, disks, start, reach, log } = await setUp(t);
  disks.set("/dev/vdb", {
    label: "steelyard",
    sequence: 1,
    files: { "steelyard.yaml": good.replace("192.0.2.1 ", "198.51.100.1 ") },
  });
  const running = start();
  t.same(await reach("bad-answer-file"), {
    state: "bad-answer-file",
    source: "steelyard.yaml on /dev/vdb",
    problems: [
      {
        line: 7,
        path: "interfaces.nic0.ipv4.gateway",
        message: "expected an address within a network of this interface, or nothing can reach it",
      },
    ],
  });
  for (let tries = 0; tries < 200 && !(await readReport(machine)); tries += 1) await sleep(10);
  t.match(await readReport(machine), {
    outcome: "refused",
    problems: [{ line: 7, path: "interfaces.nic0.ipv4.gateway" }],
  });
  await sleep(50);
  t.equal(log.filter((each) => each.includes("gateway")).length, 1, "told once, though it is tried again and again");
  t.equal(control.current().generation, 0);

  disks.set("/dev/vdb", { label: "steelyard", sequence: 2, files: { "readme.txt": "" } });
  for (let problem = ""; !problem.includes("expected a file steelyard.yaml"); await sleep(10))
    problem = JSON.stringify(await readFirstBootState(machine));
  disks.set("/dev/vdc", { label: "STEELYARD", sequence: 3, files: {} });
  for (let problem = ""; !problem.includes("/dev/vdb and /dev/vdc both are"); await sleep(10))
    problem = JSON.stringify(await readFirstBootState(machine));
  disks.delete("/dev/vdc");
  disks.set("/dev/vdb", {
    label: "steelyard",
    sequence: 4,
    files: { "steelyard.yaml": `${good}#${"x".repeat(1024 * 1024)}` },
  });
  for (let problem = ""; !problem.includes("at most 1 MiB"); await sleep(10))
    problem = JSON.stringify(await readFirstBootState(machine));

  disks.set("/dev/vdb", { label: "steelyard", sequence: 5, files: { "steelyard.yaml": good } });
  await running;
  t.equal(control.current().generation, 1);
});

t.test("the wizard's answers end the wait, and only the first ones count", async (t) => {
  const { machine, control, start, reach } = await setUp(t);
  const running = start();
  await reach("waiting-for-answer");
  await t.rejects(completeFirstBoot(control, machine, { version: 1, admin: { password: "short" } }), {
    code: "bad-input",
    problems: [{ path: "admin.password", message: "expected at least 10 characters" }],
  });
  const answers = { version: 1, admin: { password }, system: { hostname: "lb2" } };
  t.match(await completeFirstBoot(control, machine, answers, { dryRun: true }), { generation: 0 });
  t.equal(control.current().generation, 0, "a dry run leaves the wizard waiting");
  await completeFirstBoot(control, machine, answers);
  await running;
  t.same(await readFirstBootState(machine), { state: "done" });
  t.match(await control.history(), [{ source: "console" }]);
  await t.rejects(completeFirstBoot(control, machine, { ...answers, system: { hostname: "late" } }), {
    code: "exists",
  });
  t.equal(control.current().configuration.system.hostname, "lb2");
});

t.test("answers that nobody confirms are taken back, and the questions begin again", async (t) => {
  const { machine, control, start, reach } = await setUp(t);
  const running = start();
  await reach("waiting-for-answer");
  const answer = (minutes: number) =>
    completeFirstBoot(control, machine, { version: 1, admin: { password } }, { confirmWithin: minutes });
  t.match((await answer(5)).pending, { generation: 1, parent: 0 });
  await reach("confirming");
  await t.rejects(answer(5), { code: "exists" }, "another console cannot answer meanwhile");
  await control.revert({ user: "admin", source: "local" });
  await reach("waiting-for-answer");
  t.match(await readReport(machine), { outcome: "refused", problems: [{ message: /were taken back/ }] });
  t.equal((await readReport(machine))?.generation, undefined);
  await answer(5);
  await reach("confirming");
  await control.confirm({ user: "admin", source: "192.0.2.7" });
  await running;
  t.same(await readFirstBootState(machine), { state: "done" });
  t.match(await readReport(machine), { outcome: "applied", generation: 1 });
});

t.test("the test of the network makes bond and VLAN for a moment, and takes them back however it ends", async (t) => {
  const draft: Draft = {
    ...emptyDraft,
    interface: "nic1",
    bonds: [{ name: "bond0", mode: "802.3ad", members: ["nic0", "nic1"] }],
    vlan: 100,
  };
  const commands: string[] = [];
  let refused = "";
  const run = async (argv: readonly string[]): Promise<RunResult> => {
    const words = argv.join(" ");
    commands.push(words);
    if (refused !== "" && words.startsWith(refused)) throw new Error("refused");
    return { code: 0, stdout: "", stderr: "" };
  };
  const links = async () =>
    [
      { name: "vlan100", carrier: true },
      { name: "bond0", carrier: true },
    ] as never;
  const netlink = fakeNetlink({ links });
  const machine = makeMachine({ root: t.testdir(), run, netlink });
  const made = [
    "ip link add name bond0 type bond mode 802.3ad miimon 100",
    "ip link set dev nic0 down",
    "ip link set dev nic0 master bond0",
    "ip link set dev nic1 down",
    "ip link set dev nic1 master bond0",
    "ip link set dev bond0 up",
    "ip link add link bond0 name vlan100 type vlan id 100",
    "ip link set dev vlan100 up",
  ];
  const up = ["ip link set dev nic0 up", "ip link set dev nic1 up"];
  t.equal(await withTrialLinks(machine, draft, async (name) => name), "vlan100");
  t.same(commands, [...made, "ip link delete dev vlan100", "ip link delete dev bond0", ...up]);

  commands.length = 0;
  await t.rejects(
    withTrialLinks(machine, draft, async () => {
      throw new Error("no lease");
    }),
    { message: "no lease" },
  );
  t.same(commands.slice(-4), ["ip link delete dev vlan100", "ip link delete dev bond0", ...up]);

  commands.length = 0;
  refused = "ip link add link";
  await t.rejects(
    withTrialLinks(machine, draft, async () => undefined),
    { message: "refused" },
  );
  t.same(commands.slice(-3), ["ip link delete dev bond0", ...up], "what was not made is not taken away");

  commands.length = 0;
  await withTrialLinks(machine, { ...emptyDraft, interface: "nic0" }, async () => undefined);
  t.same(commands, ["ip link set dev nic0 up"], "a card alone is left as it is");
});

t.test(
  "the console follows a first configuration until it is confirmed or gone, over a silence of the agent",
  async (t) => {
    const answers: (number | "kept" | "gone" | "silent")[] = [120, "silent", "kept", "gone"];
    const requests: string[] = [];
    let now = answers[0];
    const api = {
      send: async (method: string, path: string, options: { body?: object } = {}) => {
        requests.push(`${method} ${path} ${JSON.stringify(options.body ?? {})}`);
        if (now === "silent") throw new Error("connection refused");
        if (path.endsWith("/pending") && typeof now === "number")
          return { body: { deadline: new Date(Date.parse("2026-01-01T00:00:00Z") + now * 1000).toISOString() } };
        if (path.endsWith("/pending")) throw new SteelyardError("not-found", "no change awaits its confirmation");
        if (path === "/api/v1/system") return { body: { management: { interfaces: ["nic0"], port: 444 } } };
        return { body: { generation: now === "gone" ? 0 : 1 } };
      },
      sendList: async () => [{ name: "nic0", addresses: ["192.0.2.5/24"] }],
    };
    const machine = makeMachine({ root: t.testdir(), now: () => new Date("2026-01-01T00:00:00Z") });
    const trial = makeTrial(machine, api as never, 1);
    const looks = [];
    for (now of answers) looks.push(await trial.look());
    t.same(looks, [
      { state: "waiting", seconds: 120 },
      { state: "waiting", seconds: 120 },
      { state: "kept" },
      { state: "gone" },
    ]);
    t.same(await trial.describe(), ["Management   https://192.0.2.5:444/", "Certificate  SHA-256 no certificate yet"]);
    requests.length = 0;
    await trial.keep();
    await trial.takeBack();
    t.same(requests, [
      'POST /api/v1/configuration/confirm {"generation":1}',
      "POST /api/v1/configuration/pending/revert {}",
    ]);
  },
);

t.test("two consoles at the same moment: one wins, the other hears of it", async (t) => {
  const { machine, control } = await setUp(t);
  const answer = (hostname: string) =>
    completeFirstBoot(control, machine, { version: 1, admin: { password }, system: { hostname } });
  const results = await Promise.allSettled([answer("one"), answer("two")]);
  t.same(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  t.match(
    results.find(({ status }) => status === "rejected"),
    { reason: { code: "exists" } },
  );
  t.equal(control.current().generation, 1);
});

t.test("stopping the agent ends the wait", async (t) => {
  const { machine, start, reach, stop } = await setUp(t);
  const running = start();
  await reach("waiting-for-answer");
  stop.abort();
  await running;
  t.same(await readFirstBootState(machine), { state: "waiting-for-answer" });
});

t.test("all that is wrong with a file is said at once, with its line and without its words", async (t) => {
  t.same(complaints(good), []);
  const many = `version: 2
admin: { password: "0123456789", passwordHash: x, sshKeys: [me] }
system:
  hostname: "-"
  color: red
interfaces:
  nic0.100:
    mtu: 99
  "too long a name for one": {}
farms:
  web: { profile: l4xnat, virtualAddresses: [] }
`;
  t.same(complaints(many), [
    "1 version: expected version: 1",
    "2 admin.password: expected a password that is not among the first to be guessed",
    "2 admin.passwordHash: expected a crypt(3) scrypt hash ($7$…)",
    "2 admin.sshKeys.0: expected an OpenSSH public key on one line, like ssh-ed25519 AAAA… name",
    "4 system.hostname: expected a host name of letters, digits and hyphens, like lb1 or lb1.example.com",
    "5 system.color: there is no such field",
    "8 interfaces.nic0.100.mtu: expected an MTU of at least 1280 bytes, which IPv6 needs (RFC 8200)",
    "9 interfaces.too long a name for one: the name: expected a network interface name of at most 15 characters, like nic0",
    ...complaints(many).filter((each) => each.includes("farms.web")),
  ]);
  t.ok(complaints(many).some((each) => each.startsWith("11 farms.web.")));
  t.same(complaints("version: 1\n"), [
    "undefined admin: expected the administrator's password, passwordHash or sshKeys",
  ]);
  t.same(complaints("version: 1\nadmin: {}\n"), [
    "2 admin: expected a password, a passwordHash or sshKeys, or nobody could manage the box",
  ]);
  t.match(complaints(""), [/expected the answers as a YAML mapping/]);
  const secret = complaints('version: 1\nadmin: { password: "my secret words }\n').join("\n");
  t.match(secret, /expected YAML, but column/);
  t.notMatch(secret, /secret/);
  t.same(complaints("version: 1\nversion: 1\n").slice(0, 1), ["2 : expected YAML, but column 1: duplicate key"]);
  t.match(complaints("a: &a [1]\nb: *a\n"), ["2 : expected no YAML alias (*name)"]);
  t.match(complaints(`${"[".repeat(100_000)}`), [/^\d+ : expected YAML|a few levels of nesting/]);
});
