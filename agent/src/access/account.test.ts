import * as fs from "node:fs/promises";
import t from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { access } from "./index.ts";

const hash = `$7$DU..../....${"a".repeat(32)}$${"b".repeat(43)}`;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";
const shadow = "root:*:20000:0:99999:7:::\nadmin:!:20000:0:99999:7::1:\nadministrator:*:20000::::::\n";

function make(users: unknown): Configuration {
  return configuration.parse({ ...emptyConfiguration(), users });
}

t.test("the box's own login follows the configuration", async (t) => {
  const machine = makeMachine({ root: t.testdir({ etc: { shadow } }) });
  const shadowPath = machine.path("/etc/shadow");
  const keysPath = machine.path("/etc/ssh/authorized_keys.d/admin");
  await fs.chmod(shadowPath, 0o640);
  const apply = async (users: unknown) => {
    const steps = await access.plan(make(users), machine);
    for (const step of steps) await step.execute();
    t.same(await access.plan(make(users), machine), [], "and then there is nothing to do");
    return steps.map(({ summary }) => summary);
  };

  t.same(await apply({ admin: { passwordHash: hash, sshKeys: [key, `${key}-too`] } }), [
    "set the administrator's password",
    "write the administrator's SSH keys",
  ]);
  t.equal(
    await fs.readFile(shadowPath, "utf8"),
    shadow.replace("admin:!:20000:0:99999:7::1:", `admin:${hash}:20000:0:99999:7:::`),
    "the account has no end any more, and nobody else's line changes",
  );
  t.equal((await fs.stat(shadowPath)).mode & 0o777, 0o640);
  t.equal(await fs.readFile(keysPath, "utf8"), `${key}\n${key}-too\n`);
  t.equal((await fs.stat(keysPath)).mode & 0o777, 0o644);

  t.same(await apply({ admin: { sshKeys: [key] } }), [
    "lock the administrator's password",
    "write the administrator's SSH keys",
  ]);
  t.same(await apply({ admin: { passwordHash: hash } }), [
    "set the administrator's password",
    "write the administrator's SSH keys",
  ]);
  await t.rejects(fs.stat(keysPath), { code: "ENOENT" });

  await fs.writeFile(shadowPath, "root:*:20000::::::\n");
  await t.rejects(apply({ admin: { passwordHash: hash } }), { message: "/etc/shadow has no account admin" });
});
