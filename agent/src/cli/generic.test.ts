import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import t from "tap";
import { parse } from "yaml";
import { password } from "../api/testing.ts";
import { deriveCommands, toSingular } from "./model.ts";
import { paint, printTable } from "./output.ts";
import { profileFile } from "./profile.ts";
import { apiDocument } from "./program.ts";
import { findSurroundings } from "./surroundings.ts";
import { setUpCommand } from "./testing.ts";

t.test("a collection has its verbs without a line of code of its own", async (t) => {
  const { run, control, machine } = await setUpCommand(t);
  t.match(await run("interface create nic1 mtu=1400 ipv4.method=dhcp"), {
    status: 0,
    out: "interface nic1 created (generation 3)",
  });
  t.match(control.current().configuration.interfaces.nic1, { mtu: 1400, ipv4: { method: "dhcp" } });
  t.match(await run("address create web interface=nic1 address=192.0.2.10/24"), { status: 0 });
  t.match(await run("address set web description=first"), { status: 0, out: /address web changed/ });
  t.match((await run("address show web")).out, /description: first/);
  t.match((await run("address list")).out, /^NAME +ENABLED +INTERFACE +ADDRESS +DESCRIPTION\nweb +yes +nic1 +192/);
  t.match(await run("-q address list"), { out: "web" });
  t.match(await run("-q address set web description=second"), { out: "", err: "" });
  t.match(await run("address list --sort -name --limit 1"), { status: 0 });
  t.match(await run("address set web"), { status: 2, err: /expected field=value/ });
  t.match(await run("address delete web --dry-run"), { status: 0, out: /virtual-addresses\/web: removed/ });
  t.match(await run("address delete web"), { status: 0, out: /address web deleted/ });
  t.match(await run("address show web"), { status: 3, err: /there is no virtual address web/ });

  const file = machine.path("/address.yaml");
  await writeFile(file, "interface: nic1\naddress: 192.0.2.11/24\ndescription: of a file\n");
  t.match(await run(`address create mail --from ${file} address=192.0.2.12/24`), { status: 0 });
  t.match(control.current().configuration.virtualAddresses.mail, {
    address: "192.0.2.12/24",
    description: "of a file",
  });
  await writeFile(file, "text of a file\n");
  t.match(await run(`address set mail description@=${file}`), { status: 0 });
  t.match(control.current().configuration.virtualAddresses.mail, { description: "text of a file" });
  t.match(await run("address set mail description@=/nowhere"), { status: 2, err: /no such file/ });
});

t.test("programs get the API's answers as JSON or YAML", async (t) => {
  const { run } = await setUpCommand(t);
  t.match(await run("system set hostname=lb1"), { status: 0, out: /system changed/ });
  t.match(JSON.parse((await run("system show --json")).out), { hostname: "lb1" });
  t.match(parse((await run("system show --yaml")).out), { hostname: "lb1" });
  t.match(parse((await run("farm list --yaml")).out), []);
  t.match(JSON.parse((await run("config history --json")).out), [{ generation: 3 }, {}, {}]);
  t.match(await run("system show --json --yaml"), { status: 2, err: /cannot be used with/ });
});

t.test("a chain of records that is broken is no success of its check", async (t) => {
  const { run, machine } = await setUpCommand(t);
  t.match(await run("system set hostname=lb1"), { status: 0 });
  t.match(await run("system set hostname=lb2"), { status: 0 });
  t.match(await run("access audit verify"), { status: 0, out: /whole: +(yes|true)/i });
  const directory = machine.path("/data/audit");
  const [name = ""] = await readdir(directory);
  const text = await readFile(join(directory, name), "utf8");
  await writeFile(join(directory, name), text.replace("+hostname: lb1", "+hostname: lb9"));
  const found = await run("access audit verify --json");
  t.match(found, { status: 1, err: /record 1 \(file 1, line 1\): its text is not the one that was written/ });
  t.match(JSON.parse(found.out), { whole: false, broken: { sequence: 1 } }, "the report is there all the same");
});

t.test("colours are for terminals alone, and for who wants them", async (t) => {
  const colours = (isTTY: boolean, env: NodeJS.ProcessEnv = {}) => {
    const stream = Object.assign(new PassThrough(), { isTTY });
    const output = findSurroundings({ env, stdin: process.stdin, stdout: stream, stderr: stream } as never).output;
    return paint(output, "red", "down") !== "down";
  };
  t.equal(colours(true), true);
  t.equal(colours(false), false, "a pipe or a file");
  t.equal(colours(true, { NO_COLOR: "1" }), false, "no-color.org");
  t.equal(colours(true, { TERM: "dumb" }), false);
});

t.test(
  "help lists the fields with their values, units and defaults; topics tell what belongs to no command",
  async (t) => {
    const { run } = await setUpCommand(t);
    const { out } = await run("interface create --help");
    t.match(out, /mtu=1280-65535\n +Bytes/);
    t.match(out, /ipv4\.method=none\|dhcp\|static\n.*default none/);
    t.match(out, /\nExamples?:\n {2}steelyard interface create /, "and an example");
    t.match(
      (await run("farm create --help")).out,
      /algorithm=weight\|[\s\S]*Examples:\n {2}steelyard farm create web --vip/,
    );
    t.match(await run("help exit-codes"), { status: 0, out: /^0 {2}Done\n1 .*Internal error/ });
    t.match(await run("help values"), { out: /commas make a list/ });
    t.match(await run("help farm backend"), { out: /Usage: steelyard farm backend/ });
    t.match(await run("help nonsense"), { status: 2, err: /no command or topic nonsense/ });
    t.match(await run(["completion", "tcsh"]), { status: 2, err: /expected bash, zsh or fish/ });
  },
);

t.test("tables keep to the width of the terminal, numbers to the right", async (t) => {
  const lines: string[] = [];
  const output = { print: (line: string) => void lines.push(line), warn: () => {}, write: () => {}, colours: false };
  const rows = [
    ["web", 5, "a description that is longer than the line has room for"],
    ["mail", 1000, "short"],
  ];
  printTable({ ...output, width: 40 }, ["NAME", "COUNT", "DESCRIPTION"], rows);
  t.same(lines, ["NAME  COUNT  DESCRIPTION", "web       5  a description that is long~", "mail   1000  short"]);
  lines.length = 0;
  printTable({ ...output, width: undefined }, ["NAME", "COUNT", "DESCRIPTION"], rows);
  t.match(lines[1], /room for$/, "nothing is cut where there is no terminal");
  lines.length = 0;
  printTable({ ...output, width: 29 }, ["NAME", "BACKENDS UP", "ADDRESS"], [["web", "2/2", "192.0.2.10/24"]]);
  t.same(
    lines,
    ["NAME  BACKEND~  ADDRESS", "web   2/2       192.0.2.10/24"],
    "a title gives way before an address does",
  );
  lines.length = 0;
  printTable(
    { ...output, width: 24 },
    ["NAME", "TEXT"],
    [
      ["日本", "網頁伺服器 für 日本"],
      ["a\u001b[2Jb", "e\u0301"],
    ],
  );
  t.same(
    lines.slice(1),
    ["日本         網頁伺服器~", "a\\u001b[2Jb  e\u0301"],
    "what takes two columns, none, or the terminal",
  );
});

t.test("lists written by hand take the filters of the API", async (t) => {
  const { run, machine } = await setUpCommand(t);
  for (const [name, port, enabled] of [
    ["web", 80, "yes"],
    ["mail", 25, "no"],
  ])
    await run(
      `farm create ${name} --vip 192.0.2.10 --port ${port} enabled=${enabled} --backend b1=198.51.100.1:${port}`,
    );
  t.equal((await run("-q farm list --enabled false")).out, "mail");
  t.equal((await run("-q farm list --sort=-name --limit 1")).out, "web");
  t.match((await run("farm list --fields name,ports")).out, /^NAME {2}PORTS\nmail {2}25\nweb +80$/);
  t.equal((await run("-q farm backend list web --state down")).out, "");
  const pem = (name: string) => machine.path(`/${name}.pem`);
  const files = ["-keyout", pem("key"), "-out", pem("certificate"), "-nodes", "-subj", "/CN=lb1", "-days", "30"];
  await machine.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", ...files]);
  t.match(await run(`certificate create lb1 key@=${pem("key")} certificate@=${pem("certificate")}`), { status: 0 });
  t.equal((await run("certificate list")).out, "NAME\nlb1", "texts of many lines have no place in a table");
  t.match(await run("farm list --sort nonsense"), { status: 2, err: /sort: there is no field nonsense/ });
});

t.test(
  "login keeps the box, its certificate and the key in a file of its owner; logout ends the session",
  async (t) => {
    const { run, machine, port, home } = await setUpCommand(t);
    const { readManagementFingerprint } = await import("../certificates/management.ts");
    const fingerprint = (await readManagementFingerprint(machine)) ?? "";
    const environment = { STEELYARD_SOCKET: undefined };
    const remote = (line: string, typed = "") => run(line, typed, environment);
    const url = `https://127.0.0.1:${port}`;
    t.match(await remote(`login ${url}`, `${password}\n`), {
      status: 4,
      err: new RegExp(`--fingerprint ${fingerprint}`),
    });
    t.match(await remote(`login ${url} --fingerprint ${fingerprint}`, `${password}\n`), {
      status: 0,
      out: /logged in/,
    });
    const file = profileFile({ HOME: home });
    t.equal((await stat(file)).mode & 0o777, 0o600);
    t.notMatch(await readFile(file, "utf8"), password);
    t.match(await remote("farm list"), { status: 0, out: "(none)" });
    t.match(await remote("farm create web --vip 192.0.2.10 --port 80"), { status: 0 });
    t.match(await remote("config history"), { out: /admin@127\.0\.0\.1 +create farm web/ });
    t.match(
      await remote(`--url https://localhost:${port} farm list`),
      { status: 4 },
      "the key goes to no other address",
    );

    const { token } = parse(await readFile(file, "utf8"));
    t.match(await remote(`login ${url} --key --profile other --fingerprint ${fingerprint}`, `${token}\n`), {
      status: 0,
    });
    t.match(await remote("--profile other -q farm list"), { out: "web" });
    t.match(await remote("--profile none farm list"), { status: 2, err: /no such profile/ });
    const { chmod } = await import("node:fs/promises");
    await chmod(file, 0o644);
    t.match(await remote("farm list"), { status: 4, err: /chmod 600/ });
    await chmod(file, 0o600);
    t.match(await remote("logout"), { status: 0, out: /logged out/ });
    t.match(await remote("--profile other farm list"), { status: 4 }, "the session has ended on the box too");
    t.match(await remote("logout"), { status: 3 });
  },
);

t.test("words of commands follow from paths", async (t) => {
  const answer = { content: { "application/json": { schema: { properties: { items: {} } } } } };
  const operation = (operationId: string) => ({ operationId, summary: "Do it", responses: { 200: answer } });
  const item = (...methods: string[]) => Object.fromEntries(methods.map((each) => [each, operation(each)]));
  const plain = (...methods: string[]) =>
    Object.fromEntries(methods.map((each) => [each, { ...operation(each), responses: {} }]));
  const paths = {
    "/api/v1/access/api-keys": item("get", "post"),
    "/api/v1/access/api-keys/{key}": plain("get", "patch", "put", "delete"),
    "/api/v1/jobs": item("get"),
    "/api/v1/jobs/{job}": plain("get"),
    "/api/v1/jobs/{job}/cancel": plain("post"),
    "/api/v1/audit": item("get"),
    "/api/v1/certificates/keys": item("get"),
    "/api/v1/system": plain("get", "put", "patch"),
    "/api/v1/system/update": plain("get", "post"),
    "/api/v1/system/clock/keys": item("get"),
    "/api/v1/docs/index.html": plain("get"),
  };
  const commands = deriveCommands({ ...apiDocument, paths } as never).map(({ words }) => words.join(" "));
  t.same(commands, [
    "api-key list",
    "api-key create",
    "api-key show",
    "api-key set",
    "api-key delete",
    "audit list",
    "key list",
    "job list",
    "job show",
    "job cancel",
    "system show",
    "system set",
    "system key list",
    "system update show",
    "system update create",
  ]);
  t.same(["policies", "addresses", "status", "farms", "access", "boxes", "certificates"].map(toSingular), [
    "policy",
    "address",
    "status",
    "farm",
    "access",
    "box",
    "certificate",
  ]);
});
