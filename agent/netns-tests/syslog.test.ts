import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { openAudit } from "../src/access/audit/audit.ts";
import { startExport } from "../src/access/audit/export/exporter.ts";
import { auditTarget } from "../src/access/audit/export/schema.ts";
import { verifyAuditTargets } from "../src/access/audit/export/verify.ts";
import { decodeRecord } from "../src/access/audit/record.ts";
import { makeChainWalk } from "../src/access/audit/verify-chain.ts";
import { run } from "../src/adapters/process.ts";
import { setUpServer } from "../src/api/testing.ts";
import { certificate } from "../src/certificates/schema.ts";
import type { Configuration } from "../src/configuration/schema.ts";
import { type Daemon, findFile, findModules, makeAuthority, startDaemon, untilListening } from "./daemons.ts";
import { enterBox, until } from "./lab.ts";

/** The audit log sent to rsyslogd over TLS, TCP and UDP. */
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  await run(["ip", "link", "set", "lo", "up"]);
  const place = await fs.mkdtemp(join(tmpdir(), "steelyard-syslog-"));
  t.teardown(() => fs.rm(place, { recursive: true }));
  const authority = await makeAuthority(place, "right");
  const stranger = await makeAuthority(place, "wrong");
  const files = await authority.sign("siem", "DNS:siem.example.com,IP:127.0.0.1");
  const received = (name: string) => join(place, `${name}.log`);
  const settings = join(place, "rsyslog.conf");
  const output = (name: string) =>
    `ruleset(name="${name}") { action(type="omfile" file="${received(name)}" template="all") }`;
  await fs.writeFile(
    settings,
    `global(workDirectory="${place}" maxMessageSize="256k" defaultNetstreamDriverCAFile="${authority.certificate}"
 defaultNetstreamDriverCertFile="${files.certificate}" defaultNetstreamDriverKeyFile="${files.key}" parser.escapeControlCharactersOnReceive="off")
module(load="imptcp")
module(load="imudp")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="all" type="string" string="%pri%|%timestamp:::date-rfc3339%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\\n")
${["tls", "tcp", "udp", "strict"].map(output).join("\n")}
input(type="imtcp" port="6514" address="127.0.0.1" ruleset="tls")
input(type="imtcp" port="6515" address="127.0.0.1" ruleset="strict" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imptcp" port="6010" address="127.0.0.1" ruleset="tcp")
input(type="imudp" port="5140" address="127.0.0.1" ruleset="udp")
`,
  );
  let daemon: Daemon | undefined;
  const start = async () => {
    const modules = `-M${findModules("rsyslog")}`;
    daemon = startDaemon([findFile("/usr/sbin/rsyslogd"), "-n", "-f", settings, "-i", join(place, "pid"), modules]);
    await untilListening("127.0.0.1", 6514, daemon);
  };
  await start();
  t.teardown(() => daemon?.stop("SIGKILL"));

  const backoff = { first: 100, longest: 500 };
  const { server, control, machine } = await setUpServer(t, { auditBackoff: backoff });
  const ca = await fs.readFile(authority.certificate, "utf8");
  const base = { host: "127.0.0.1", caCertificates: ca };
  const configure = (targets: Record<string, object>, certificates?: Configuration["certificates"]) =>
    control.commit({
      author: { user: "admin", source: "local" },
      message: "set the targets",
      change: (current) => ({
        ...current,
        certificates: certificates ?? current.certificates,
        auditTargets: Object.fromEntries(
          Object.entries(targets).map(([name, each]) => [name, auditTarget.parse(each)]),
        ),
      }),
    });
  /** A change and a refusal over the API: two records. */
  let number = 0;
  const act = async () => {
    number += 1;
    const farm = {
      name: `farm-${number}`,
      profile: "l4xnat",
      virtualAddresses: ["192.0.2.10"],
      ports: ["80"],
      description: 'a "quoted] \\ one',
    };
    const made = await server.local.inject({ method: "POST", url: "/api/v1/farms", payload: farm });
    if (made.statusCode !== 201) throw new Error(made.body);
    await server.local.inject({ method: "DELETE", url: "/api/v1/farms/none" });
  };
  const lines = async (name: string) =>
    (await fs.readFile(received(name), "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
  const statusOf = async (name: string) =>
    (await server.local.inject({ url: `/api/v1/access/audit-targets/${name}/status` })).json();
  const allIn = (name: string, count: number) =>
    until(`${count} records by ${name}`, 20_000, async () => (await lines(name)).length >= count);
  const sequences = async (name: string) =>
    (await lines(name)).map((line) => Number(/ sequence="(\d+)"/.exec(line)?.[1] ?? 0));

  await t.test(
    "a real syslog server gets every record over TLS, TCP and UDP, and its hashes are those of the log",
    async (t) => {
      await configure({
        tls: base,
        tcp: { host: "127.0.0.1", port: 6010, transport: "tcp", format: "text", facility: "local0" },
        udp: { host: "127.0.0.1", port: 5140, transport: "udp" },
      });
      await act();
      await act();
      for (const name of ["tls", "tcp", "udp"]) await allIn(name, 4);
      const [first = "", second = ""] = await lines("tls");
      t.match(
        first,
        /^109\|.*\|steelyard\|steelyard\|createFarm\|\[meta sequenceId="\d+"\]\[steelyard@32473 sequence="/,
      );
      t.match(second, /^108\|.*result="refused".*code="not-found"/, "a refusal is a warning");
      const walk = makeChainWalk();
      for (const line of await lines("tls")) {
        const json = line.slice(line.indexOf("{"));
        t.equal(decodeRecord(json)?.genuine, true, "the text is that of the log");
        t.equal(walk.next(json), undefined, "and follows the one before");
      }
      const text = (await lines("tcp"))[0] ?? "";
      t.match(text, /^133\|.*hash="[0-9a-f]{64}"\]\|.?admin from local: createFarm farms\/farm-1: done/u);
      t.match(await statusOf("tls"), { state: "connected", queued: 0, lost: 0, error: "" });
      t.match((await statusOf("tls")).sequence, (await sequences("tls")).at(-1));
    },
  );

  await t.test("what is recorded while the server is away is sent when it is back, nothing is missing", async (t) => {
    await daemon?.stop();
    const before = Date.now();
    await act();
    t.ok(Date.now() - before < 5000, "a change does not wait for a syslog server");
    await until("it is noticed", 10_000, async () => (await statusOf("tls")).error !== "");
    t.match(await statusOf("tls"), { error: /ECONNREFUSED|closed/ });
    await act();
    await start();
    const wanted = await head();
    await until(
      "all is sent",
      20_000,
      async () => (await statusOf("tls")).sequence >= wanted && (await lines("tls")).length > 0,
    );
    await until(
      "all has come",
      20_000,
      async () => new Set(await sequences("tls")).size === wanted - Math.min(...(await sequences("tls"))) + 1,
    );
    const seen = new Set(await sequences("tls"));
    const [least, most] = [Math.min(...seen), Math.max(...seen)];
    t.equal(most, wanted);
    t.equal(seen.size, most - least + 1, "no gap in the sequence");
    t.match(await statusOf("tls"), { lost: 0, queued: 0, error: "" });
  });

  await t.test("a server whose certificate nobody known has signed gets nothing", async (t) => {
    const other = await fs.readFile(stranger.certificate, "utf8");
    const count = (await lines("tls")).length;
    await configure({ tls: { ...base, caCertificates: other } });
    await act();
    await until("it is refused", 10_000, async () => (await statusOf("tls")).error !== "");
    t.match(await statusOf("tls"), { state: /waiting|connecting/, error: /certificate/ });
    t.ok((await statusOf("tls")).queued >= 2);
    t.equal((await lines("tls")).length, count);
    // The place was kept: with the right authority it goes on where it was.
    await configure({ tls: base });
    await until("it goes on", 20_000, async () => new Set(await sequences("tls")).has(await head()));
    const seen = new Set(await sequences("tls"));
    t.equal(seen.size, Math.max(...seen) - Math.min(...seen) + 1);
    t.equal((await server.local.inject({ url: "/api/v1/access/audit-targets/none/status" })).statusCode, 404);
    const weak = await server.local.inject({
      method: "POST",
      url: "/api/v1/access/audit-targets?dryRun=true",
      payload: { name: "x", host: "a b" },
    });
    t.equal(weak.statusCode, 400);
  });

  await t.test("a server that asks who sends gets to see the certificate of the box, or gets nothing", async (t) => {
    const own = await authority.sign("box", "DNS:lb1.example.com");
    const pem = { certificate: await fs.readFile(own.certificate, "utf8"), key: await fs.readFile(own.key, "utf8") };
    const strict = { ...base, port: 6515 };
    const named = { ...strict, clientCertificate: "box" };
    t.match(verifyAuditTargets({ auditTargets: { strict: auditTarget.parse(named) }, certificates: {} }), [
      { severity: "error", path: "auditTargets.strict.clientCertificate", message: /one of the certificates/ },
    ]);
    await configure({ strict }, {});
    await act();
    await until("it is refused", 10_000, async () => (await statusOf("strict")).error !== "");
    t.same(await lines("strict"), []);
    await configure({ strict: named }, { box: certificate.parse(pem) });
    const wanted = await head();
    await until("all has come", 20_000, async () => (await sequences("strict")).includes(wanted));
    const seen = new Set(await sequences("strict"));
    t.equal(seen.size, Math.max(...seen) - Math.min(...seen) + 1, "what was refused before is there too");
    t.ok(seen.size >= 2);
  });

  await t.test(
    "a server that is away when the agent starts, or that cannot be reached at all, is told of",
    async (t) => {
      await configure({
        udp: { host: "127.0.0.1", port: 5140, transport: "udp" },
        tcp: { host: "127.0.0.1", port: 6010, transport: "tcp" },
        unroutable: { host: "192.0.2.1", transport: "udp" },
        unknown: { host: "siem.invalid", transport: "udp" },
      });
      const words = async (name: string) => (await statusOf(name)).error;
      const told = (name: string) => until(`${name} is told of`, 20_000, async () => (await words(name)) !== "");
      await act();
      await Promise.all([told("unroutable"), told("unknown")]);
      t.match(await words("unroutable"), /cannot connect to 192\.0\.2\.1:514: .*ENETUNREACH/);
      t.match(await words("unknown"), /cannot connect to siem\.invalid:514: (EAI_AGAIN|ENOTFOUND)/);
      t.match(await statusOf("unknown"), { sent: 0, lost: 0 });
      await until("tcp has all", 20_000, async () => (await statusOf("tcp")).sequence === (await head()));

      // The agent ends and starts again, and rsyslogd is not there; nothing waits for it, and it gets what it missed.
      await daemon?.stop();
      const first = await head();
      await act();
      const wanted = (await head()) + 1;
      await server.close();
      const audit = await openAudit(machine);
      const begin = Date.now();
      const exported = await startExport(control, audit.log, machine, backoff);
      const event = { user: "admin", means: "agent", source: "agent", operation: "commit", object: "configuration" };
      await audit.record({ ...event, result: "done" });
      t.ok(Date.now() - begin < 2000, "neither the start waits nor a change");
      t.equal(audit.log.head().sequence, wanted);
      await until("it is noticed", 10_000, async () => exported.status("tcp")?.error !== "");
      await start();
      await until("all has come", 20_000, async () => (await sequences("tcp")).includes(wanted));
      const seen = new Set(await sequences("tcp"));
      for (let each = first + 1; each <= wanted; each += 1) t.ok(seen.has(each), `record ${each}`);
      await exported.close();
      await audit.close();
    },
  );

  async function head(): Promise<number> {
    return (await server.local.inject({ url: "/api/v1/access/audit?limit=1" })).json().items[0].sequence;
  }
}
