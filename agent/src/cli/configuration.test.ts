import { spawn } from "node:child_process";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { parse } from "yaml";
import { makeClient } from "../client/client.ts";
import type { CommandContext } from "./context.ts";
import { type Dialogue, type EditOptions, editConfiguration } from "./edit.ts";
import { apiDocument } from "./program.ts";
import { setUpCommand } from "./testing.ts";

/** Edits and files go through one transaction of the API. */
const skip = apiDocument.paths["/api/v1/transactions"] ? false : "the API has no transactions";

async function setUp(t: Test) {
  const box = await setUpCommand(t);
  await box.run("farm create web --vip 192.0.2.10 --port 80 --backend b1=198.51.100.1");
  return box;
}

/** `config edit` with an editor that does what it is told each time, and a person who answers. */
async function setUpEdit(t: Test) {
  const box = await setUp(t);
  const [lines, warnings]: [string[], string[]] = [[], []];
  const scratch = box.machine.path("/scratch");
  await mkdir(scratch, { recursive: true });
  const connection = { socket: box.socket };
  const context: CommandContext = {
    client: makeClient(connection),
    connection,
    output: {
      print: (text) => void lines.push(text),
      warn: (text) => void warnings.push(text),
      write: () => {},
      colours: false,
      width: undefined,
    },
    environment: { XDG_RUNTIME_DIR: scratch, EDITOR: "editor --wait" },
    input: process.stdin,
    format: "text",
    quiet: false,
  };
  const edit = async (
    where: string | undefined,
    edits: ((text: string) => string | Promise<string>)[],
    answers: string[] = [],
    options: EditOptions = {},
  ) => {
    lines.length = 0;
    warnings.length = 0;
    const seen: string[] = [];
    const dialogue: Dialogue = {
      runEditor: async (argv, file) => {
        t.same(argv, ["editor", "--wait"]);
        t.equal((await stat(file)).mode & 0o777, 0o600);
        const text = await readFile(file, "utf8");
        seen.push(text);
        await writeFile(file, await (edits.shift() ?? ((same) => same))(text));
      },
      ask: answers.length > 0 ? async () => answers.shift() ?? "n" : undefined,
    };
    await editConfiguration(context, where, options, dialogue);
    return { seen, out: lines.join("\n"), err: warnings.join("\n") };
  };
  return { ...box, edit, scratch, warnings };
}

t.test("an object is edited, shown as it would change, and committed on a yes", { skip }, async (t) => {
  const { edit, control, scratch } = await setUpEdit(t);
  const done = await edit("farms/web", [(text) => text.replace('description: ""', "description: edited")], ["y"]);
  t.match(done.seen[0], /^# farms\/web, generation 3\. Save/);
  t.match(done.out, /farms\/web: changed[\s\S]*-description: ""\n\+description: edited[\s\S]*memory: remember web/);
  t.match(done.out, /configuration committed \(generation 4\)/);
  t.equal(control.current().configuration.farms.web?.description, "edited");
  t.match((await control.history())[0], { message: "edit farms/web" });
  t.same(await readdir(scratch), [], "nothing is left of the file");

  t.match((await edit("farms/web", [])).out, "nothing changed");
  t.match((await edit("farms/web", [() => ""])).out, "nothing changed");
  const dry = await edit("system", [(text) => text.replace("steelyard", "lb9")], [], { dryRun: true });
  t.match(dry.out, /\+hostname: lb9/);
  t.equal(control.current().generation, 4);
  await edit(
    "farms",
    [(text) => `${text}mail:\n  profile: l4xnat\n  virtualAddresses: [192.0.2.11]\n  ports: ["25"]\n`],
    ["y"],
  );
  t.ok(control.current().configuration.farms.mail);
  await edit(undefined, [(text) => text.replace(/^ {2}mail:\n(?: {4}.*\n)*/m, "")], [], {
    yes: true,
    message: "no mail",
  });
  t.notOk(control.current().configuration.farms.mail, "what was taken out of the whole is deleted");
  t.match((await control.history())[0], { message: "no mail" });
  t.ok(control.current().configuration.users.admin?.passwordHash?.startsWith("$7$"), "hidden secrets stay");
  await t.rejects(edit("farms/none", []), { code: "not-found" });
});

t.test(
  "a mistake brings the editor back with the problem in it; saving it unchanged gives up and keeps the text",
  { skip },
  async (t) => {
    const { edit, control, scratch, warnings } = await setUpEdit(t);
    const mended = await edit(
      "farms/web",
      [
        (text) => text.replace('- "80"', "- eighty"),
        (text) => text.replace("- eighty", "- 81"),
        (text) => `${text}[`,
        (text) => text.replace("[", ""),
      ],
      ["e", "y"],
    );
    t.match(mended.seen[1], /^#! farms\.web\.ports\.0: expected a port/m);
    t.notMatch(mended.seen[2], /^#!/m);
    t.match(mended.seen[3], /^#! .*web\.yaml: .*line/m);
    t.same(control.current().configuration.farms.web?.ports, ["81"]);
    const { generation } = control.current();
    await t.rejects(edit("farms/web", [(text) => text.replace("tcp", "sctp")], ["y"]), { code: "bad-input" });
    t.match(warnings.join("\n"), /what you wrote is kept in .*farms-web\.yaml/);
    const [kept = ""] = await readdir(scratch);
    t.match(await readFile(join(scratch, kept, "farms-web.yaml"), "utf8"), /sctp/);
    t.equal(control.current().generation, generation);
    t.match((await edit("farms/web", [(text) => text.replace("tcp", "udp")], ["n"])).err, /kept in/);
    await t.rejects(edit("farms/web", [(text) => text.replace("tcp", "udp")]), { message: /--yes or --dry-run/ });
    t.equal(control.current().generation, generation);
  },
);

t.test("a configuration that changed in the meantime is not overwritten", { skip }, async (t) => {
  const { edit, control, run } = await setUpEdit(t);
  const editing = edit(
    "farms/web",
    [
      async (text) => {
        await run("farm set web description=other");
        return text.replace("tcp", "udp");
      },
    ],
    ["y"],
  );
  await t.rejects(editing, { code: "stale" });
  t.match(control.current().configuration.farms.web, { description: "other", protocol: "tcp" });
});

t.test("a real editor is run with the file", { skip }, async (t) => {
  const { run, control, machine } = await setUp(t);
  const editor = machine.path("/editor");
  await writeFile(editor, '#!/bin/sh\nkill -INT $PPID; sleep 0.1; sed -i "s/^protocol: .*/protocol: $1/" "$2"\n');
  await chmod(editor, 0o755);
  const environment = { VISUAL: `${editor} udp`, XDG_RUNTIME_DIR: machine.path("/") };
  t.match(await run("config edit farms/web --yes", "", environment), { status: 0, out: /configuration committed/ });
  t.equal(control.current().configuration.farms.web?.protocol, "udp");
  t.match(await run("config edit farms/web", "", { ...environment, VISUAL: "/bin/false" }), {
    status: 2,
    err: /ended with 1/,
  });
  await writeFile(editor, '#!/bin/sh\necho "color: red" >>"$1"; kill -9 $$\n');
  const died = await run("config edit farms/web", "", { ...environment, VISUAL: editor });
  t.match(died, { status: 2, err: /what you wrote is kept in (\S+)[\s\S]*ended with SIGKILL/ });
  const [, kept = ""] = /kept in (\S+)/.exec(died.err) ?? [];
  t.match(await readFile(kept, "utf8"), /color: red/);
  t.match(await run("config edit farms/web", "", { ...environment, VISUAL: "/nowhere" }), {
    status: 2,
    err: /expected an editor/,
  });
});

t.test("what was exported is applied again, object by object or in place of all", { skip }, async (t) => {
  const { run, control, machine } = await setUp(t);
  const directory = machine.path("/saved");
  t.match(await run(`config export ${directory}`), { status: 0, out: /objects in/ });
  t.match(parse(await readFile(join(directory, "farms/web.yaml"), "utf8")), { profile: "l4xnat" });
  t.notMatch(await readFile(join(directory, "users/admin.yaml"), "utf8"), /\$7\$/);
  t.match(await run(`config export ${directory}`), { status: 2, err: /empty or new/ });
  t.match(await run(`config apply -f ${directory}`), { status: 0, out: /nothing changed/ });
  t.match(await run(`config verify -f ${directory}`), { out: "the configuration is valid; 0 objects differ" });
  const before = control.current().configuration;

  await run("farm create mail --vip 192.0.2.11 --port 25");
  await run("farm set web protocol=udp");
  t.match(await run(`config verify -f ${directory} --replace`), { out: /2 objects differ/ });
  t.match(await run(`config apply -f ${directory} --dry-run`), { status: 0, out: /\+protocol: tcp/ });
  t.match(await run(["config", "apply", "-f", directory, "--message", "back to tcp"]), { status: 0 });
  t.match(control.current().configuration.farms, { web: { protocol: "tcp" }, mail: { ports: ["25"] } });
  t.match((await control.history())[0], { message: "back to tcp" });
  t.match(await run(`config apply -f ${directory} --replace`), { status: 0 });
  t.same(control.current().configuration, before);

  const file = machine.path("/farms.yaml");
  await writeFile(file, "farms:\n  mail: { profile: l4xnat, virtualAddresses: [192.0.2], ports: [0] }\npools: {}\n");
  t.match(await run(`config apply -f ${file}`), {
    status: 2,
    err: /farms\.mail\.virtualAddresses\.0.*[\s\S]*farms\.mail\.ports\.0/,
  });
  t.match(await run("config verify -f /nowhere"), { status: 2, err: /no such file/ });
});

t.test("a directory is taken whole: in the ways of an export, a generation and a backup, or not at all", async (t) => {
  const { run, control, machine } = await setUp(t);
  // On the disk of the box, or out of a backup: with its secrets.
  const own = machine.path("/config/current/");
  t.match(await run(["config", "apply", "-f", own, "--replace"]), { status: 0, out: /nothing changed/ });
  const { generation } = control.current();

  const put = async (path: string, text: string) => {
    const file = join(machine.path("/tree"), path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  };
  const apply = () => run(["config", "apply", "-f", machine.path("/tree")]);
  await mkdir(machine.path("/tree"));
  t.match(await apply(), { status: 2, err: /tree: expected a YAML file for each object/ });
  const farm = 'profile: l4xnat\nvirtualAddresses: [192.0.2.11]\nports: ["25"]\n';
  await put("README.md", "what this is");
  await put("farms/mail.yaml", farm);
  await put("farms/mail.yml", farm);
  await put("farms/torn.yaml", "profile: [\n");
  await put("farms/two.yaml", `${farm}---\n${farm}`);
  await put("farms/twice.yaml", "profile: l4xnat\nprofile: l4xnat\n");
  await put("farms/more/deep.yaml", farm);
  await put("pools.yaml", "{}");
  const refused = await apply();
  t.match(refused, { status: 2, out: "" });
  for (const words of [
    /farms\/mail\.yml: farms\.mail stands in .*farms\/mail\.yaml already/,
    /farms\/torn\.yaml: .*\(line \d+, column \d+\)$/m,
    /farms\/two\.yaml: line 4: expected one document/,
    /farms\/twice\.yaml: Map keys must be unique \(line 2, column 1\)/,
    /farms\/more\/deep\.yaml: it has no place here: expected system\.yaml.* farms\/NAME\.yaml/,
    /pools\.yaml: it has no place here/,
  ])
    t.match(refused.err, words);
  t.equal(control.current().generation, generation, "nothing of it was taken");
  for (const path of [
    "farms/mail.yml",
    "farms/torn.yaml",
    "farms/two.yaml",
    "farms/twice.yaml",
    "farms/more",
    "pools.yaml",
  ])
    await rm(join(machine.path("/tree"), path), { recursive: true });
  await put("access/users/anna.yaml", "roles: [auditor]\n");
  t.match(await apply(), { status: 0, out: /configuration committed/ });
  t.match(control.current().configuration, {
    farms: { mail: { ports: ["25"] } },
    users: { anna: { roles: ["auditor"] } },
  });
});

t.test("standard input is read whatever it is: a pipe, or the socket that sshd hands over", async (t) => {
  const { socket, control } = await setUp(t);
  const main = join(dirname(fileURLToPath(import.meta.url)), "main.ts");
  const argv = [...process.execArgv, main, "config", "apply", "-f", "-"];
  const apply = async (command: string, args: string[], port: string) => {
    const env = { ...process.env, STEELYARD_SOCKET: socket };
    const child = spawn(command, args, { stdio: ["pipe", "ignore", "inherit"], env });
    child.stdin.end(`farms:\n  web: { profile: l4xnat, virtualAddresses: [192.0.2.10], ports: ["${port}"] }\n`);
    t.equal(await new Promise((resolve) => child.once("close", resolve)), 0);
    t.same(control.current().configuration.farms.web?.ports, [port]);
  };
  await apply("/bin/sh", ["-c", 'cat | "$0" "$@"', process.execPath, ...argv], "81");
  // What node calls a pipe to a child is a pair of sockets.
  await apply(process.execPath, argv, "82");
});

t.test(
  "a check of the own configuration is one of every generation, and says what to do about a damaged one",
  async (t) => {
    const { run, machine } = await setUp(t);
    t.match(await run("config verify"), { status: 0, out: "the configuration is valid; 3 generations are whole" });
    const file = machine.path("/config/generations/2/generation.yaml");
    await writeFile(file, (await readFile(file, "utf8")).replace("another port", "nothing at all"));
    const found = await run("config verify");
    t.match(found, { status: 1, out: "the configuration is valid" });
    t.match(
      found.err,
      /Stored data is damaged:\n {2}generations\.2: generation 2: .*\n {2}what they hold cannot be trusted: .*audit/,
    );
    t.match(parse((await run("config verify --yaml")).out), {
      steps: [],
      generations: [{}, { generation: 2, problem: /.+/ }, {}],
    });
  },
);

t.test(
  "whoever types over SSH is asked to confirm what can cut them off, and stands in the history with an address",
  async (t) => {
    const { run, control } = await setUp(t);
    const line = "system set management.port=4444";
    t.match(await run(line), { status: 0, err: "" }, "nobody is cut off at the console");
    const over = { SSH_CONNECTION: "2001:db8::7 52000 2001:db8::5 22" };
    const asked = await run("system set management.port=4445", "", over);
    t.match(asked, { status: 0, err: /goes back by itself at .*unless you type: steelyard config confirm/ });
    t.match(control.pending(), { author: "admin", source: "ssh 2001:db8::7" });
    t.match(await run("config confirm", "", over), { status: 0 });
    t.match(await run("config history --limit 1"), { out: /admin@ssh 2001:db8::7/ });
    t.notOk((await run("system set management.port=4446 --confirm-within 0", "", over)).err, "they may waive it");
    t.match((await run("system set management.port=4447", "", { SSH_CONNECTION: "nonsense" })).err, "");
  },
);

t.test("a change that has to be confirmed is confirmed or taken back", async (t) => {
  const { run, control } = await setUp(t);
  t.match(await run("config confirm"), { status: 3 });
  t.match(await run("farm set web protocol=udp --confirm-within 5"), {
    status: 0,
    err: /goes back by itself at .*config confirm/,
  });
  t.match(await run("config pending"), { status: 0, out: /generation: 4[\s\S]*deadline:/ });
  t.match(await run("config confirm 3"), { status: 5 });
  t.match(await run("config confirm"), { status: 0, out: /generation 4 is confirmed/ });
  t.match(await run("config pending"), { status: 3 });
  t.match(await run("farm set web protocol=tcp --confirm-within 5"), { status: 0 });
  t.match(await run("config revert"), { status: 0, out: /taken back/ });
  t.equal(control.current().configuration.farms.web?.protocol, "udp");
});
