import { createServer, type Socket } from "node:net";
import fc from "fast-check";
import t from "tap";
import { password, setUpServer } from "../../../api/testing.ts";
import { chainStart, decodeRecord, encodeRecord } from "../record.ts";
import { formatRecord } from "./format.ts";
import { auditTarget, facilities } from "./schema.ts";

/** RFC 5424, 6: the message as a receiver has to read it, which takes nothing else. */
const grammar =
  /^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) ((?:\[[!#-<>-\\^-~]{1,32}(?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\])+)(?: ([\s\S]*))?$/u;

function parseMessage(bytes: Buffer) {
  const match = grammar.exec(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  if (!match) throw new Error(`no message of RFC 5424: ${JSON.stringify(bytes.toString())}`);
  const [, priority, time, hostname, application, process, id, data = "", message] = match;
  const parameters: Record<string, string> = {};
  for (const [, name = "", value = ""] of data.matchAll(/ ([^= ]+)="((?:[^"\\\]]|\\["\\\]])*)"/gu))
    parameters[name] = value.replace(/\\(["\\\]])/g, "$1");
  return { priority: Number(priority), time, hostname, application, process, id, parameters, message };
}

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.constantFrom(
    'x" result="done',
    'x] [other@1 user="root"] ]',
    "a\nb\r\n<13>1 - - - - - - forged",
    "\\",
    "\u0000\u001b[2J\u009b1m\u202egpj.exe",
    "\ufeff",
    "é".repeat(300),
    "😀".repeat(200),
  ),
);
const changes = fc.array(fc.record({ object: hostile, change: hostile, text: hostile }), { maxLength: 30 });
const event = fc.record(
  {
    time: fc.constant("2026-01-02T03:04:05.678Z"),
    user: hostile,
    roles: fc.array(hostile, { maxLength: 5 }),
    means: hostile,
    source: hostile,
    requestId: hostile,
    operation: hostile,
    object: hostile,
    result: fc.constantFrom("done" as const, "refused" as const, "failed" as const),
    status: fc.integer({ min: 100, max: 599 }),
    message: hostile,
    changes,
  },
  { requiredKeys: ["time", "user", "means", "source", "operation", "object", "result"] },
);
const target = fc
  .record({
    host: fc.constant("192.0.2.1"),
    transport: fc.constantFrom("tls", "tcp", "udp"),
    format: fc.constantFrom("json", "text"),
    facility: fc.constantFrom(...Object.keys(facilities)),
    maxBytes: fc.integer({ min: 2048, max: 20_000 }),
  })
  .map((each) => auditTarget.parse(each));

t.test(
  "property: whatever a record holds, it is one message of RFC 5424, and no longer than the server takes",
  async (t) => {
    let whole = 0;
    let shortened = 0;
    fc.assert(
      fc.property(event, target, fc.oneof(hostile, fc.constant("lb1.example.com")), (event, target, hostname) => {
        const { line } = encodeRecord(event, { sequence: 2 ** 31 - 1, hash: chainStart.hash });
        const decoded = decodeRecord(line);
        if (!decoded) throw new Error("no record");
        const { record } = decoded;
        const bytes = formatRecord({ record, line }, target, hostname);
        const { priority, parameters, message, application, id } = parseMessage(bytes);
        const severity = { done: 5, refused: 4, failed: 3 }[record.result];
        const fits = bytes.length <= (target.transport === "udp" ? 2048 : target.maxBytes);
        // The number is 31 bits wide and begins again at one.
        const numbered = parameters.sequenceId === "1" && parameters.sequence === String(2 ** 31);
        const chained = parameters.hash === record.hash && parameters.previous === record.previous;
        const told = parameters.result === record.result && application === "steelyard" && (id ?? "") !== "";
        const clean = !/[\p{Cc}\u202e]/u.test(Object.values(parameters).join(""));
        const marked = message === undefined || message.startsWith("\ufeff");
        // In JSON a line feed has its escape.
        const oneLine = !/[\n\r]/.test(message ?? "");
        if (target.format === "json" && message === `\ufeff${line}`) whole += 1;
        else shortened += 1;
        return (
          priority === facilities[target.facility] * 8 + severity &&
          fits &&
          numbered &&
          chained &&
          told &&
          clean &&
          marked &&
          oneLine
        );
      }),
      { numRuns: 300 },
    );
    t.ok(whole > 20 && shortened > 20, `${whole} whole, ${shortened} shortened`);
  },
);

t.test("names that would end their field stand in it as they are", async (t) => {
  const name = 'a"b]c\\d';
  const more = { means: "session", source: "192.0.2.7", object: "farms/web", result: "refused" } as const;
  const event = { time: "2026-01-02T03:04:05.678Z", user: name, operation: "patchFarm", ...more, message: "x\ny" };
  const { line } = encodeRecord(event, chainStart);
  const entry = { record: decodeRecord(line)?.record as never, line };
  const bytes = formatRecord(entry, auditTarget.parse({ host: "192.0.2.1", format: "text" }), "lb1");
  t.match(bytes.toString(), /^<108>1 2026-01-02T03:04:05\.678Z lb1 steelyard - patchFarm \[meta sequenceId="1"\]/);
  t.match(bytes.toString(), ' user="a\\"b\\]c\\\\d" ');
  t.equal(parseMessage(bytes).parameters.user, name);
  t.equal(parseMessage(bytes).message, `\ufeff${name} from 192.0.2.7: patchFarm farms/web: refused: x y`);
});

t.test("a server that answers nothing holds up neither the box nor its end, and is told of", async (t) => {
  const open = new Set<Socket>();
  // Takes connections and never says a word of TLS.
  const mute = createServer((socket) => void open.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const { port } = mute.address() as { port: number };
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    mute.close();
  });
  // One that nobody listens at: the port of a server that is gone.
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const free = (gone.address() as { port: number }).port;
  await new Promise((resolve) => gone.close(resolve));

  const { server, https } = await setUpServer(t, { auditBackoff: { first: 50, longest: 100 } });
  const send = async (method: "POST" | "GET" | "DELETE" | "PATCH", url: string, payload?: object) =>
    await server.local.inject({ method, url: `/api/v1${url}`, ...(payload ? { payload } : {}) });
  for (const [name, each] of Object.entries({ mute: port, gone: free }))
    t.equal((await send("POST", "/access/audit-targets", { name, host: "127.0.0.1", port: each })).statusCode, 201);
  const payload = { user: "admin", password };
  t.equal((await https.inject({ method: "POST", url: "/api/v1/sessions", payload })).statusCode, 201);
  const status = async (name: string) => (await send("GET", `/access/audit-targets/${name}/status`)).json();
  for (let count = 0; count < 100 && (await status("gone")).error === ""; count += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(await status("gone"), { error: /ECONNREFUSED/, sent: 0, lost: 0 });
  t.ok((await status("gone")).queued >= 2, "what it is to get waits in the log");
  t.match(await status("mute"), { state: "connecting", sent: 0 });
  const { health, warnings } = (await send("GET", "/system/status")).json();
  t.match(warnings, [/the audit target gone is \d+ records behind: cannot connect/]);
  t.equal(health, "ok", "the box itself is well");

  const began = performance.now();
  await server.close();
  t.ok(performance.now() - began < 3000, "the agent does not wait for it");
});
