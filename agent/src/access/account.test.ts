import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { access } from "./index.ts";

const hash = `$7$DU..../....${"a".repeat(32)}$${"b".repeat(43)}`;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";
const passwd =
  "root:x:0:0::/root:/bin/bash\nadmin:x:1000:1000:Steelyard administrator:/home/admin:/bin/bash\ngdnsd:x:990:990::/:/usr/sbin/nologin\n";
const shadow = "root:*:20000:0:99999:7:::\nadmin:!:20000:0:99999:7::1:\nadministrator:*:20000::::::\n";
const group =
  "root:x:0:\nsudo:x:27:admin\nsystemd-journal:x:990:gdnsd,admin\nsteelyard:x:991:admin\nsteelyard-admin:x:992:\nadmin:x:1000:\n";

function make(users: unknown): Configuration {
  return configuration.parse({ ...emptyConfiguration(), users });
}

function setUp(t: Test) {
  const ran: (readonly string[])[] = [];
  const machine = makeMachine({
    root: t.testdir({ etc: { passwd, shadow, group } }),
    now: () => new Date("2026-01-02T03:04:05Z"),
    run: async (argv) => {
      ran.push(argv);
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  const apply = async (users: unknown) => {
    const steps = await access.plan(make(users), machine);
    for (const step of steps) await step.execute();
    return steps.map(({ summary }) => summary);
  };
  const read = (path: string) => fs.readFile(machine.path(path), "utf8");
  return { machine, ran, apply, read, plan: (users: unknown) => access.plan(make(users), machine) };
}

const admin = { passwordHash: hash, sshKeys: [key, `${key}-too`], roles: ["admin"] };

t.test("the box's own login follows the configuration", async (t) => {
  const { machine, apply, read, plan } = setUp(t);
  const keysPath = machine.path("/etc/ssh/authorized_keys.d/admin");
  await fs.chmod(machine.path("/etc/shadow"), 0o640);
  t.same(await apply({ admin }), ["write the login of admin", "write the SSH keys of admin"]);
  t.same(await plan({ admin }), [], "and then there is nothing to do");
  t.equal(
    await read("/etc/shadow"),
    shadow.replace("admin:!:20000:0:99999:7::1:", `admin:${hash}:20000:0:99999:7:::`),
    "the account has no end any more, and nobody else's line changes",
  );
  t.equal(await read("/etc/passwd"), passwd);
  t.match(
    await read("/etc/group"),
    /^sudo:x:27:\nsystemd-journal:x:990:gdnsd,admin\nsteelyard:x:991:admin\nsteelyard-admin:x:992:admin$/m,
  );
  t.equal((await fs.stat(machine.path("/etc/shadow"))).mode & 0o777, 0o640);
  t.equal(await read("/etc/ssh/authorized_keys.d/admin"), `${key}\n${key}-too\n`);
  t.equal((await fs.stat(keysPath)).mode & 0o777, 0o644);

  t.same(
    await apply({ admin: { ...admin, passwordHash: undefined } }),
    ["write the login of admin"],
    "password locked",
  );
  t.match(await read("/etc/shadow"), /^admin:!:20000:0:99999:7:::$/m);
  t.same(await apply({ admin: { ...admin, sshKeys: [] } }), [
    "write the login of admin",
    "write the SSH keys of admin",
  ]);
  await t.rejects(fs.stat(keysPath), { code: "ENOENT" });
  await fs.writeFile(machine.path("/etc/passwd"), "root:x:0:0::/root:/bin/bash\n");
  await t.rejects(apply({ admin }), { message: "/etc/passwd has no account admin" });
});

t.test("users with shell:use have a login of their own; only administrators become root", async (t) => {
  const { machine, ran, apply, read, plan } = setUp(t);
  const users = {
    admin,
    anna: { sshKeys: [key], roles: ["operator"], expires: "2027-01-31" },
    ben: { sshKeys: [key], roles: ["farm-operator"] },
    cleo: { roles: ["operator"] },
    dan: { sshKeys: [key], roles: ["operator"], disabled: true },
  };
  t.same(await apply(users), [
    "write the login of admin, anna",
    "write the SSH keys of admin",
    "write the SSH keys of anna",
  ]);
  t.same(await plan(users), []);
  const [, uid = ""] =
    /^anna:x:(\d+):\1::\/run\/steelyard\/home\/anna:\/bin\/bash$/m.exec(await read("/etc/passwd")) ?? [];
  t.ok(Number(uid) >= 10_000 && Number(uid) < 60_000, uid);
  t.match(await read("/etc/shadow"), /^anna:!:20455:0:99999:7::20849:$/m);
  t.match(await read("/etc/group"), /^steelyard:x:991:admin,anna\nsteelyard-admin:x:992:admin$/m);
  t.match(await read("/etc/group"), new RegExp(`^anna:x:${uid}:$`, "m"));
  t.equal((await fs.stat(machine.path("/run/steelyard/home/anna"))).mode & 0o777, 0o700);
  for (const name of ["ben", "cleo", "dan"]) t.notMatch(await read("/etc/passwd"), name);

  t.same(await apply({ admin, anna: { ...users.anna, roles: ["read-only"] } }), [
    "write the login of anna",
    "remove the SSH keys of anna",
    "end what anna runs",
  ]);
  t.notMatch((await read("/etc/passwd")) + (await read("/etc/shadow")) + (await read("/etc/group")), "anna");
  t.same(ran, [["loginctl", "kill-user", uid, "--signal=KILL"]]);
  await t.rejects(fs.stat(machine.path("/run/steelyard/home/anna")), { code: "ENOENT" });
  await t.rejects(fs.stat(machine.path("/etc/ssh/authorized_keys.d/anna")), { code: "ENOENT" });

  const other = { anna: { ...users.anna, expires: undefined, roles: ["admin"] } };
  await apply(other);
  t.same(await plan(other), []);
  t.match(
    await read("/etc/group"),
    /^steelyard:x:991:anna\nsteelyard-admin:x:992:anna$/m,
    "the administrator has another name",
  );
  t.match(await read("/etc/shadow"), /^admin:!:20000:0:99999:7::1:$/m, "and the image's account is closed");
});
