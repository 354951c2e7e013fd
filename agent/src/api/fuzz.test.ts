import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { getHeapStatistics } from "node:v8";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import t from "tap";
import { type RunResult, run } from "../adapters/process.ts";
import type { Subsystem } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";
import { subsystems } from "../subsystems.ts";
import { type Document, type FuzzRequest, type Operation, requestTo } from "./fuzzing.ts";
import { setUpServer } from "./testing.ts";

/** STEELYARD_FUZZ_RUNS requests (600), made from STEELYARD_FUZZ_SEED; the same seed makes the same requests. */
const runs = Number(process.env.STEELYARD_FUZZ_RUNS ?? 600);
const seed = Number(process.env.STEELYARD_FUZZ_SEED ?? 20_261_123);

t.test(
  `${runs} requests from the OpenAPI document: each answer is a declared one, and a refusal changes nothing`,
  {
    timeout: 60_000 + runs * 60,
  },
  async (t) => {
    // The real rules of every subsystem; the machine is the last configuration it was brought to.
    let machine: Configuration | undefined;
    const keep = (wanted: Configuration) => {
      machine = wanted;
    };
    const remembering = subsystems.map(
      ({ name, dependsOn, verify }): Subsystem => ({
        name,
        dependsOn,
        verify,
        endangers: () => [],
        check: async () => {},
        plan: async (wanted) => [
          { subsystem: name, kind: "remember", summary: "remember", execute: async () => keep(wanted) },
        ],
      }),
    );
    const done: RunResult = { code: 0, stdout: "", stderr: "" };
    const {
      server,
      https,
      control,
      machine: box,
      clock,
    } = await setUpServer(t, {
      subsystems: remembering,
      // Keys and requests are made for real; nothing else is.
      run: async (argv, options) => (argv[0] === "openssl" ? await run(argv, options) : done),
      limits: { requestsPerMinute: 1e9 },
    });
    const document: Document = (await server.local.inject("/api/v1/openapi.json")).json();
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
    );
    // A stream has no end to wait for, each guess at a password costs a tenth of a second, and a factory reset starts the box again.
    const quick = operations.filter(
      ({ operation }) =>
        !["createSession", "resetToFactory"].includes(operation.operationId) &&
        !("text/event-stream" in (operation.responses["200"]?.content ?? {})),
    );
    const find = (id: string) => {
      const found = operations.find(({ operation }) => operation.operationId === id);
      if (!found) throw new Error(id);
      return found.operation;
    };
    const checkAnswer = makeAnswerCheck(document);
    const statuses: Record<number, number> = {};
    let changes = 0;
    let sent = 0;
    let greatestHeap = 0;

    /** All that a refusal must leave alone: the configuration in memory, and every file of it on the disk. */
    const look = () => ({
      ...{ generation: control.current().generation, machine },
      memory: JSON.stringify(control.current().configuration),
      disk: listTree(box.path("/config")),
    });
    let last = look();
    const send = async ({ operationId, method, url, headers, payload }: FuzzRequest, app: typeof https) => {
      const before = last;
      // Each in a minute of its own, or the audit log would count refusals instead of recording them.
      clock.time += 60_000;
      const answer = await app.inject({
        method: method as "GET",
        url,
        headers,
        ...(payload === undefined ? {} : { payload }),
      });
      const { statusCode: status } = answer;
      sent += 1;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status >= 500) throw new Error(`${status}: ${answer.body.slice(0, 500)}`);
      checkAnswer(find(operationId), url, answer);
      let after = look();
      if (status >= 400 && !isDeepStrictEqual(after, before)) {
        // The audit log's head is written now and then, by a file beside it that is gone in a moment; what stays was the request.
        await sleep(200);
        after = look();
      }
      last = after;
      if (status >= 400 && !isDeepStrictEqual(after, before))
        throw new Error(`a request that was refused with ${status} changed the box`);
      if (method !== "GET" || status === 401 || status === 403) await checkRecord(answer, url, before.generation);
      if (after.generation !== before.generation) changes += 1;
      if (machine !== undefined && control.current().configuration !== machine && changes > 0)
        throw new Error("the machine is not what is configured");
      if (JSON.stringify({}) !== "{}" || ({} as Record<string, unknown>).polluted)
        throw new Error("Object.prototype was changed");
      greatestHeap = Math.max(greatestHeap, getHeapStatistics().used_heap_size);
    };

    /** A record of each change and of each refusal: who asked for it, by the id of the request, and what came of it. */
    let recorded = 0;
    const checkRecord = async (
      answer: { statusCode: number; headers: object; body: string },
      url: string,
      generation: number,
    ) => {
      const { statusCode: status } = answer;
      // An address that leads nowhere is no attempt at anything, and a dry run changes nothing.
      if (status === 405 || /[?&]dryRun=true/.test(url)) return;
      const id = String((answer.headers as Record<string, unknown>)["request-id"]);
      const { items } = (await server.local.inject("/api/v1/access/audit?limit=3")).json();
      const record = items.find(({ requestId }: { requestId: string }) => requestId === id);
      if (!record && status >= 400 && !leadsSomewhere(url, answer)) return;
      const result = status < 400 ? "done" : status < 500 ? "refused" : "failed";
      if (record?.status !== status || record.result !== result)
        throw new Error(`a request to ${url} that ended with ${status} has the record ${JSON.stringify(record)}`);
      const now = control.current().generation;
      if (now !== generation && (record.generation !== now || !record.changes?.length))
        throw new Error(`the record of generation ${now} does not say what changed: ${JSON.stringify(record)}`);
      recorded += 1;
    };

    const request = requestTo(quick, document);
    const property = fc.asyncProperty(request, fc.integer({ min: 0, max: 9 }), async (request, dice) => {
      await send(request, dice === 0 ? https : server.local);
    });
    await fc.assert(property, {
      seed,
      numRuns: runs,
      endOnFailure: true,
      // A machine that is busy with other things sends fewer, and says so.
      interruptAfterTimeLimit: 60_000 + Math.max(0, runs - 2000) * 60,
      markInterruptAsFailure: false,
    });

    t.comment(`seed ${seed}, ${sent} requests: ${changes} changes; answers by status: ${JSON.stringify(statuses)}`);
    t.ok(sent >= Math.min(runs, 300), "the machine was not too busy for it");
    t.ok(changes > sent / 200, "some requests were right");
    t.ok(recorded > sent / 4, `${recorded} of them are in the audit log`);
    t.match((await server.local.inject("/api/v1/access/audit/verify")).json(), { whole: true });
    t.ok((statuses[400] ?? 0) > sent / 20, "many were wrong");
    t.ok(greatestHeap < 500 * 1024 * 1024, `${Math.round(greatestHeap / 1024 / 1024)} MiB at most`);
    t.equal((await server.local.inject("/api/v1/farms")).statusCode, 200, "the agent is alive");
  },
);

/** False for an address that no route has, or that cannot be read. */
function leadsSomewhere(url: string, { body }: { body: string }): boolean {
  try {
    const [path = ""] = url.split("?");
    // `/links/..` is another address.
    if (new URL(url, "http://box").pathname !== path) return false;
    const segments = path.split("/");
    if (segments.some((segment) => decodeURIComponent(segment).length > 64)) return false;
  } catch {
    return false;
  }
  return !body.includes('"detail":"there is nothing at ');
}

/**
 * Every file and link below a directory, and when it was last written. Without the end of the audit log, which is noted there some
 * seconds after each record of it, whoever was refused (access/audit/anchor.ts).
 */
function listTree(root: string): string {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter(
    (each) => !each.isDirectory() && !/^audit-head\.json$|^\.[0-9a-f]{12}\.new$/.test(each.name),
  );
  const lines = entries.map(({ parentPath, name }) => {
    const { ino, size, mtimeMs } = lstatSync(join(parentPath, name));
    return `${parentPath}/${name} ${ino} ${size} ${mtimeMs}`;
  });
  return lines.sort().join("\n");
}

/** Status, media type and body must be as the document says. */
function makeAnswerCheck(document: Document) {
  const ajv = new Ajv2020({ strict: false });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addSchema({ $id: "http://box/openapi.json", ...document });
  const validators = new Map<object, ReturnType<Ajv2020["compile"]>>();

  return (operation: Operation, url: string, answer: { statusCode: number; headers: object; body: string }) => {
    const status = String(answer.statusCode);
    // Some of a list's fields are another schema, on purpose; and a bad address is refused before it is an operation's.
    if (/[?&]fields=/.test(url) && status === "200") return;
    // `/farms/./backends` is another address.
    if (new URL(url, "http://box").pathname !== url.split("?")[0]) return;
    const misled = status === "404" || status === "405";
    const declared =
      operation.responses[status] ?? (misled ? document.components.responses[`Problem${status}`] : undefined);
    if (!declared)
      throw new Error(`${operation.operationId} does not declare the status ${status}: ${answer.body.slice(0, 300)}`);
    const key = declared.$ref?.split("/").at(-1) ?? "";
    const { content } = document.components.responses[key] ?? declared;
    if (!content) {
      if (answer.body !== "") throw new Error(`${operation.operationId} ${status} has a body it does not declare`);
      return;
    }
    const type = String((answer.headers as Record<string, unknown>)["content-type"]).split(";")[0] ?? "";
    const media = content[type];
    if (!media) throw new Error(`${operation.operationId} ${status} does not declare the type ${type}`);
    // The bytes of a file, or the lines of an export.
    if (!/[/+]json$/.test(type)) return;
    const compile = () =>
      ajv.compile(JSON.parse(JSON.stringify(media.schema).replaceAll('"#/', '"http://box/openapi.json#/')));
    const validate = validators.get(media.schema) ?? compile();
    validators.set(media.schema, validate);
    if (!validate(JSON.parse(answer.body)))
      throw new Error(
        `${operation.operationId} ${status}: ${ajv.errorsText(validate.errors)}: ${answer.body.slice(0, 500)}`,
      );
  };
}
