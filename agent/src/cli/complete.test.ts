import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import t from "tap";
import { setUpCommand } from "./testing.ts";

const execute = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

async function setUp(t: Parameters<typeof setUpCommand>[0]) {
  const box = await setUpCommand(t);
  await box.run("farm create web --vip 192.0.2.10 --port 80 --backend b1=198.51.100.1 --backend b2=198.51.100.2");
  const complete = async (line: string) => {
    const { out } = await box.run(["__complete", ...line.split(" ")]);
    return out.split("\n").map((each) => each.split("\t")[0]);
  };
  return { ...box, complete };
}

t.test("nouns, verbs, options, names of objects, fields and their values are completed", async (t) => {
  const { complete } = await setUp(t);
  t.ok((await complete("")).includes("farm"));
  t.same(await complete("fa"), ["farm"]);
  t.match(await complete("farm "), ["list", "show", "create", "backend", "set", "delete", "status"]);
  t.same(await complete("farm show "), ["web"]);
  t.same(await complete("farm show x"), [""]);
  t.same(await complete("farm backend set web "), ["b1", "b2"]);
  t.same(await complete("farm set web al"), ["algorithm="]);
  t.same(await complete("farm set web protocol="), ["protocol=tcp", "protocol=udp"]);
  t.same(await complete("farm set web enabled=t"), ["enabled=true"]);
  t.same(await complete("farm set web back"), ["backends."]);
  t.ok((await complete("farm set web backends.b1.")).includes("backends.b1.state="));
  t.ok((await complete("farm set web backends.b1.state=")).includes("backends.b1.state=maintenance"));
  t.same(await complete("farm set web --dr"), ["--dry-run"]);
  t.same(await complete("--js"), ["--json"]);
  t.same(await complete("config rollback "), ["3", "2", "1"]);
  t.same(await complete("config show --generation "), ["3", "2", "1"]);
  t.same(await complete("completion "), ["bash", "zsh", "fish"]);
  t.same(await complete("config edit farms"), ["farms", "farms/web"]);
  t.ok((await complete("config edit ")).includes("system"));
  t.same(await complete("farm create "), [""], "a new name is not among those that are taken");
  t.same(await complete("farm backend add w"), ["web"]);
  t.same(await complete("farm backend add web "), [""]);
  t.ok((await complete("user set admin roles=")).includes("roles=operator"), "names of other objects");
  t.same(await complete("help exit"), ["exit-codes"]);
  t.same(await complete("help farm cr"), ["create"]);
  t.same(await complete("--socket /nowhere farm show "), [""], "a box that does not answer has no names");
});

/** A `steelyard` on the PATH that asks the box of the test. */
async function setUpShell(t: Parameters<typeof setUpCommand>[0]) {
  const { socket, machine, complete, run } = await setUp(t);
  const bin = machine.path("/usr/bin");
  await mkdir(bin, { recursive: true });
  const command = `#!/bin/sh\ncd ${root}\nexec ${process.execPath} --no-warnings --import ./register.mjs agent/src/cli/main.ts "$@"\n`;
  await writeFile(join(bin, "steelyard"), command);
  await chmod(join(bin, "steelyard"), 0o755);
  const environment = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    STEELYARD_SOCKET: socket,
    HOME: machine.path("/root"),
  };
  const script = async (shell: string) => (await run(["completion", shell])).out;
  return { environment, complete, script };
}

t.test("bash completes with the script it is given, through the break at = in its words", async (t) => {
  const { environment, script } = await setUpShell(t);
  const ask = async (line: string) => {
    const text = `${await script("bash")}\nCOMP_LINE=$1 COMP_POINT=\${#1}; _steelyard; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await execute("bash", ["--norc", "-c", text, "bash", line], { env: environment });
    return stdout.trim().split("\n");
  };
  t.same(await ask("steelyard farm sh"), ["show"]);
  t.same(await ask("steelyard farm show "), ["web"]);
  t.same(await ask("steelyard farm set web alg"), ["algorithm="]);
  t.same(await ask("steelyard farm set web protocol="), ["tcp", "udp"], "what follows the =");
  t.match(await execute("bash", ["--norc", "-n", "-c", await script("bash")], { env: environment }), { stderr: "" });
});

t.test("zsh and fish complete with the scripts they are given, where they are installed", async (t) => {
  const { environment, script } = await setUpShell(t);
  const isInstalled = async (shell: string) =>
    await execute(shell, ["-c", "exit 0"]).then(
      () => true,
      () => false,
    );
  if (await isInstalled("zsh")) {
    // compadd works in the line editor alone; here it says what it was given.
    const text = await script("zsh");
    const asked = `compdef() { }; compadd() { print -l -- "\${@[(I)--]:+\${(@)@[\${@[(I)--]}+1,-1]}}" }; _files() { }
eval "$1"; words=(steelyard farm set web protocol=); CURRENT=5; _steelyard`;
    const { stdout } = await execute("zsh", ["-f", "-c", asked, "zsh", text], { env: environment });
    t.same(stdout.trim().split("\n"), ["protocol=tcp", "protocol=udp"]);
  }
  if (await isInstalled("fish")) {
    const asked = `${await script("fish")}\ncomplete --do-complete "steelyard farm show "`;
    const { stdout } = await execute("fish", ["--no-config", "-c", asked], { env: environment });
    t.same(stdout.trim().split("\n"), ["web"]);
  }
});
