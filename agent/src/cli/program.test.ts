import { readFile, writeFile } from "node:fs/promises";
import t from "tap";
import { verifyPassword } from "../access/password.ts";
import { password } from "../api/testing.ts";
import { SteelyardError } from "../errors.ts";
import { mergeFields } from "./fields.ts";
import { setUpCommand as setUp } from "./testing.ts";

t.test("a farm is created, shown, listed, changed and deleted on the command line", async (t) => {
  const { run, control, machine } = await setUp(t);
  const create =
    "farm create web --vip 192.0.2.10 --port 80 --port 8000-8010 --backend b1=198.51.100.1:80,weight=3 --backend b2=198.51.100.2 natType=dnat";
  t.match(await run(`${create} --dry-run`), { status: 0, out: "memory: remember web" });
  t.same(control.current().configuration.farms, {});
  t.same(await run(create), { status: 0, out: "farm web created (generation 3)", err: "" });
  t.match(control.current().configuration.farms.web, {
    virtualAddresses: ["192.0.2.10"],
    ports: ["80", "8000-8010"],
    natType: "dnat",
    backends: { b1: { address: "198.51.100.1", port: 80, weight: 3 }, b2: { address: "198.51.100.2", weight: 1 } },
  });
  t.match(
    (await run("farm list")).out,
    /^NAME +PROFILE .*\nweb +l4xnat +yes +192\.0\.2\.10 +80,8000-8010\/tcp +weight +2\/2$/,
  );
  t.match((await run("farm show web")).out, /natType: dnat[\s\S]*BACKEND +ADDRESS[\s\S]*b1 +198\.51\.100\.1:80 +3/);
  t.match(JSON.parse((await run("--json farm show web")).out), { name: "web", status: { state: "up" } });

  t.match(
    await run(
      "farm set web algorithm=round-robin ports=81,82 enabled=no backends.b1.state=maintenance backends.b1.weight= description=",
    ),
    {
      status: 0,
      out: "farm web changed (generation 4)",
    },
  );
  t.match(control.current().configuration.farms.web, {
    algorithm: "round-robin",
    ports: ["81", "82"],
    enabled: false,
    backends: { b1: { state: "maintenance", weight: 1 } },
  });
  t.match(await run("farm backend add web b3 [2001:db8::1]:8080 weight=2"), {
    out: "backend web/b3 added (generation 5)",
  });
  t.match(await run("farm backend set web b3 state=down"), { status: 0 });
  t.match((await run("farm backend list web")).out, /b3 +\[2001:db8::1\]:8080 +2 +1 +down/);
  t.match(await run("farm backend delete web b3"), { status: 0 });
  t.match(
    (await run(["farm", "set", "web", "description=odd"])).err,
    "warning: farms.web.description: is odd, “really”",
  );
  t.match(await run("farm delete web"), { status: 0, out: /farm web deleted/ });
  t.match(await run("farm list"), { out: "(none)" });

  const file = machine.path("/farm.yaml");
  await writeFile(
    file,
    "profile: l4xnat\nvirtualAddresses: [192.0.2.10]\nports: [80]\nbackends:\n  b1: { address: 198.51.100.1 }\n",
  );
  t.match(await run(`farm create mail --from ${file} --backend b2=198.51.100.2 protocol=udp`), { status: 0 });
  t.match(control.current().configuration.farms.mail, { protocol: "udp", backends: { b1: {}, b2: {} } });
  t.match(await run("farm create web --from /nowhere"), { status: 2, err: /\/nowhere: no such file/ });
  await writeFile(file, "[");
  t.match(await run(`farm create web --from ${file}`), { status: 2, err: /farm\.yaml: .*line 1/ });
});

t.test("mistakes are told field by field, with the exit status of the catalogue", async (t) => {
  const { run, control } = await setUp(t);
  const { generation } = control.current();
  t.match(await run("farm create web --vip 192.0.2 --port 80 --backend b1=198.51.100.1:0"), {
    status: 2,
    err: "steelyard: The request is not valid:\n  farms.web.virtualAddresses.0: expected an IPv4 or IPv6 address, like 192.0.2.10 or 2001:db8::10\n  farms.web.backends.b1.port: expected a port from 1 to 65535",
  });
  t.match(await run("farm set web enabled=maybe"), { status: 2, err: /enabled: expected true or false, not maybe/ });
  t.match(await run("farm set web enabled"), { status: 2, err: /enabled: expected field=value/ });
  t.match(await run("farm set web color=red"), { status: 3, err: /no such object: there is no farm web/ });
  t.match(await run("farm create web --vip 192.0.2.10 --port 80 color=red"), {
    status: 2,
    err: /farms\.web\.color: there is no such field/,
  });
  t.match(await run("farm create web --vip 192.0.2.10 --port 80 algorihtm=hash"), {
    status: 2,
    err: /farms\.web\.algorihtm: there is no such field: did you mean algorithm\?/,
  });
  t.match(await run("farm create web --backend b1"), { status: 2, err: /--backend b1: expected name=address:port/ });
  t.match(await run(["farm", "create", "web", "--vip", "192.0.2.10", "--port", "80", "description=refuse"]), {
    status: 6,
    err: /taken back.*daemon says no/s,
  });
  t.match(await run(["farm", "create", "web", "--vip", "192.0.2.10", "--port", "80", "description=wrong"]), {
    status: 2,
    err: /configuration is not valid:\n {2}farms\.web\.description/,
  });
  t.match(await run("farm frobnicate"), { status: 2, err: /unknown command 'frobnicate'/ });
  t.match(await run("farm lst"), { status: 2, err: /Did you mean list\?[\s\S]*see: steelyard farm --help/ });
  t.match(await run("farm show"), {
    status: 2,
    err: /missing required argument 'farm'\n\n?\(see: steelyard farm show --help/,
  });
  t.match(await run("farm set web"), { status: 2, err: /expected field=value/ });
  t.match(await run("--socket /nowhere/api.sock status"), { status: 7, err: /does the agent run/ });
  t.match(await run("config rollback x"), { status: 2 });
  t.match(await run("config rollback 99"), { status: 3 });
  t.equal(control.current().generation, generation);
  const help = await run("--help");
  t.match(help, { status: 0, out: /farm[\s\S]*config[\s\S]*exit-codes/, err: "" });
  t.match(await run("farm create --help"), { status: 0, out: /--backend/ });
});

t.test("status, interfaces, addresses, system and history", async (t) => {
  const { run, control } = await setUp(t);
  await run("farm create web --vip 192.0.2.10 --port 80");
  t.match(await run("status"), {
    status: 0,
    out: /^steelyard {2}ok\nversion +0\.0\.0\ngeneration +3\nuptime +1m\n[\s\S]*web +up +192\.0\.2\.10 80\/tcp/,
  });
  t.match(JSON.parse((await run("status --json")).out), {
    health: "ok",
    farms: [{ name: "web", status: { state: "up" } }],
  });

  t.match(
    await run("interface set nic0 ipv4.method=static ipv4.addresses=192.0.2.5/24 ipv4.gateway=192.0.2.1 mtu=1400"),
    { status: 0 },
  );
  t.match(await run("interface set nic0 ipv4.gateway= mtu="), { status: 0 });
  t.same(control.current().configuration.interfaces.nic0?.ipv4, { method: "static", addresses: ["192.0.2.5/24"] });
  t.match((await run("interface list")).out, /nic0 +absent +static\/none/);
  t.match((await run("interface show nic0")).out, /addresses: 192\.0\.2\.5\/24/);
  t.match(await run("interface show nic9"), { status: 3 });

  t.match(await run("address add web 192.0.2.10/24 --interface nic0"), { status: 0 });
  t.match((await run("address list")).out, /web +yes +nic0 +192\.0\.2\.10\/24/);
  t.match(await run("address delete web"), { status: 0 });

  t.match(await run("system set hostname=lb1 dns.servers=192.0.2.53,2001:db8::53 ssh.enabled=true"), { status: 0 });
  t.match((await run("system show")).out, /hostname: lb1\ndns:\n {2}servers: 192\.0\.2\.53,2001:db8::53/);
  t.match(await run("config history"), { out: /8\* +2026-01-02T03:04:05Z +admin@local +change system/ });
  t.match((await run("config diff")).out, /system: changed[\s\S]*-hostname: steelyard\n\+hostname: lb1/);
  t.match(await run("config diff 3 3"), { out: "generations 3 and 3 are the same" });
  t.match(await run("config rollback 3"), {
    status: 0,
    out: "rolled back to the content of generation 3 (generation 9)",
  });
  t.match((await run("config show")).out, /hostname: steelyard/);
  t.match((await run("config show --generation 8")).out, /hostname: lb1/);
});

t.test("another box is driven over HTTPS, trusted by its fingerprint", async (t) => {
  const { run, machine, port } = await setUp(t);
  const { readManagementFingerprint } = await import("../certificates/management.ts");
  const fingerprint = (await readManagementFingerprint(machine)) ?? "";
  const remote = `--url https://127.0.0.1:${port}`;
  t.match(await run(`${remote} farm list`), { status: 4, err: new RegExp(`--fingerprint ${fingerprint}`) });
  t.match(await run(`${remote} --fingerprint ${"00".repeat(32)} farm list`), {
    status: 4,
    err: /^steelyard: The box is not trusted: .*another fingerprint/,
  });
  t.match(await run(`${remote} --fingerprint 00 farm list`), { status: 2 });
  t.match(await run(`${remote} --fingerprint ${fingerprint} farm list`), { status: 4, err: /Log in first/ });
  const plain = fingerprint.replaceAll(":", "").toLowerCase();
  const login = await run(`login https://127.0.0.1:${port} --fingerprint ${plain} --print`, `${password}\n`);
  t.match(login, { status: 0, out: /^[A-Za-z0-9_-]{43}$/ });
  t.match(await run(`login https://127.0.0.1:${port} --fingerprint ${plain}`, "wrong\n"), {
    status: 4,
    err: /wrong user name or password/,
  });
  t.match(await run(`${remote} --fingerprint ${plain} farm list`, "", { STEELYARD_TOKEN: login.out }), {
    status: 0,
    out: "(none)",
  });
  const made = await run("api-key create roles=read-only --json");
  t.equal(made.status, 0, made.err);
  const byKey = { STEELYARD_TOKEN: JSON.parse(made.out).key };
  t.match(await run(`${remote} --fingerprint ${plain} farm list`, "", byKey), { status: 0, out: "(none)" });
  t.match(await run(`${remote} --fingerprint ${plain} system set hostname=lb9`, "", byKey), { status: 4 });
  t.match(await run("--url http://127.0.0.1 farm list"), { status: 2, err: /expected https/ });
  t.match(await run(`${remote}/api/v1 farm list`), { status: 2, err: /expected https:\/\/host:port/ });
  t.match(await run("--url https://127.0.0.1:1 farm list"), { status: 7, err: /cannot reach/ });
});

t.test("hash-password prints what an answer file takes", async (t) => {
  const { run } = await setUp(t);
  const { status, out } = await run("hash-password", `${password}\n`);
  t.equal(status, 0);
  t.ok(await verifyPassword(password, out));
  t.match(await run("hash-password", "admin\n"), { status: 2, err: /at least 10 characters/, out: "" });
});

t.test("secrets and files come by standard input, and not by the list of processes", async (t) => {
  const { run, control, machine } = await setUp(t);
  const made = await run("user create anna roles=operator password@=-", `${password} of mine\n`);
  t.match(made, { status: 0, err: "" });
  t.ok(await verifyPassword(`${password} of mine`, control.current().configuration.users.anna?.passwordHash ?? ""));
  t.match(await run(["user", "set", "anna", `password=${password} too`]), {
    status: 0,
    err: "warning: password: others can read it in the list of processes; password@=- asks for it",
  });
  const [key, certificate] = ["key", "certificate"].map((name) => machine.path(`/${name}.pem`)) as [string, string];
  const how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=lb1", "-days", "30"];
  await machine.run(["openssl", "req", "-x509", ...how, "-keyout", key, "-out", certificate]);
  const pem = await readFile(key, "utf8");
  t.match(await run(`certificate create lb1 key@=- certificate@=${certificate}`, pem), { status: 0 }, "of many lines");
  const both = await run("access me password set current@=- password@=-", `${password}\nshort\n`);
  t.match(both, { status: 2, err: /password: expected at least 10 characters/ }, "a line for each of several");
});

t.test("fields nest along their dots and are typed by their schemas", async (t) => {
  const schemas: Record<string, object> = {
    count: { type: "integer" },
    text: { type: "string" },
    list: { type: "array", items: { anyOf: [{ type: "integer" }, { type: "string" }] } },
    numbers: { type: "array", items: { type: "integer" } },
    object: { type: "object", properties: {} },
    most: { anyOf: [{ type: "integer" }, { type: "string", const: "max" }] },
  };
  const read = (...words: string[]) => mergeFields(words, (segments) => schemas[segments.at(-1) ?? ""]);
  t.same(read("a.b.count=3", "a.b.text=3", "a.list=1,2", "a.numbers=1,2", "a.count=4"), {
    a: { b: { count: 3, text: "3" }, list: ["1", "2"], numbers: [1, 2], count: 4 },
  });
  t.same(read("count=", "text=", "list="), { count: null, text: null, list: null });
  t.same(read("a.most=3", "b.most=max"), { a: { most: 3 }, b: { most: "max" } });
  t.same(read('object:={"x":[1]}', "text=a=b"), { object: { x: [1] }, text: "a=b" });
  for (const wrong of ["count=x", "object=x", "text", "a..b=1", "__proto__.x=1", "count:={", "=3"])
    t.throws(() => read(wrong), SteelyardError, wrong);
});
