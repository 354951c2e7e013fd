import { z } from "zod";
import type { Principal } from "../access/permissions.ts";
import { readArchive } from "../adapters/archive.ts";
import { acceptBinaryBodies, binaryBody } from "../api/binary-body.ts";
import { changeQuery, difference, guardChange, keepCommit, plan, principalOf, toPlan } from "../api/change.ts";
import type { ApiContext, Routes } from "../api/context.ts";
import { problemDocument } from "../api/problem.ts";
import type { CommitResult } from "../commit/control.ts";
import { interfaceName } from "../configuration/fields.ts";
import { type Problem, SteelyardError } from "../errors.ts";
import { type ImportOptions, type Reading, readZevenetBackup, withoutBlamed } from "./zevenet/read.ts";

/** Bytes of a backup as it is sent. */
const greatestBackup = 64 * 1024 * 1024;

const query = changeQuery.extend({
  commit: z
    .enum(["true", "false"], "expected true or false")
    .default("false")
    .transform((text) => text === "true")
    .describe("true: take it; otherwise nothing changes and the answer says what would"),
  map: z
    .union([z.string(), z.array(z.string())])
    .default([])
    .transform((given) => [given].flat().flatMap((each) => each.split(",")))
    .describe("Interface of the backup and the one that takes its place here, such as eth0:nic0 (repeatable)")
    .meta({ examples: [["eth0:nic0"]] }),
  interfaces: z
    .enum(["take", "keep"], "expected take or keep")
    .default("take")
    .describe("keep: the addresses of this box's own interfaces stay, as while the old box is still there"),
});

const backupFile = binaryBody("application/gzip", "backup-<name>.tar.gz as the old box made it");

const itemExample = {
  kind: "l4xnat farm",
  name: "Web",
  source: "usr/local/zevenet/config/Web_l4xnat.cfg",
  result: "changed" as const,
  target: "farms.web",
  notes: ["names here are of a-z, 0-9, - and _: Web is web"],
};

const item = z
  .object({
    kind: z.string().describe("Such as interface, virtual interface, l4xnat farm, certificate"),
    name: z.string().describe("Its name in the backup"),
    source: z.string().describe("The file it was found in"),
    result: z
      .enum(["taken", "changed", "not-supported"])
      .describe("changed: taken, but not as it was; the notes say what and why"),
    target: z.string().optional().describe("Where it stands now: farms.web"),
    notes: z.array(z.string()).describe("What is to be said about it"),
    later: z.string().optional().describe("The subsystem that will be able to take it"),
    content: z.record(z.string(), z.unknown()).optional().describe("What it holds, to set it up by hand"),
  })
  .meta({ id: "ImportItem", examples: [itemExample] });

const answer = z
  .object({
    product: z.string().describe("zevenet or skudonet"),
    version: z.string().optional().describe("Of the product, when the backup says"),
    committed: z.boolean().describe("False: nothing was changed"),
    summary: z
      .object({
        taken: z.int().describe("Items that mean the same here"),
        changed: z.int().describe("Items that were taken, but not as they were"),
        notSupported: z.int().describe("Items that were not taken"),
      })
      .describe("How many items have which result"),
    report: z.array(item).describe("One item for everything that was found"),
    plan: plan.describe("What is done to the machine"),
    differences: z.array(difference).describe("What changes, object by object"),
  })
  .meta({
    id: "ImportResult",
    examples: [
      {
        product: "zevenet",
        version: "5.0.2",
        committed: false,
        summary: { taken: 0, changed: 1, notSupported: 0 },
        report: [itemExample],
        plan: { generation: 7, warnings: [], steps: [], confirmWithin: 0, reasons: [] },
        differences: [],
      },
    ],
  });

export type ImportResult = z.output<typeof answer>;

/** Backups of other products. */
export const addImportRoutes: Routes = (app, context) => {
  // In a scope of its own: nowhere else is a tar archive a request.
  app.register(async (scope) => {
    acceptBinaryBodies(scope, [
      "application/gzip",
      "application/x-gzip",
      "application/x-tar",
      "application/octet-stream",
    ]);
    scope.post("/api/v1/configuration/import/zevenet", {
      bodyLimit: greatestBackup,
      config: { permission: "configuration:import" },
      schema: {
        operationId: "importZevenet",
        ...{ "x-command": "none" },
        tags: ["Import"],
        summary: "Take over a backup of ZEVENET or SKUDONET",
        description:
          "Reads a backup of the Community Edition 5 to 7 and reports each thing in it as taken, changed or not supported. Without commit=true nothing changes.",
        consumes: ["application/gzip"],
        querystring: query,
        body: backupFile,
        response: { 200: answer, default: problemDocument },
      },
      handler: async (request, reply) => {
        const { commit, dryRun, confirmWithin, force, map, interfaces } = request.query as z.output<typeof query>;
        const links = await context.status.readLinks();
        const options: ImportOptions = {
          map: readMap(map),
          interfaces,
          ...(links.length > 0 ? { links: links.map(({ name }) => name) } : {}),
        };
        const { files, ignored } = await readArchive(request.body as Buffer);
        const committed = commit && !dryRun;
        const wish = { principal: principalOf(request), committed, confirmWithin, force };
        const { reading, result, message } = await settle(context, files, options, wish);
        if (committed) keepCommit(request, reply, message, result);
        for (const { path, reason } of ignored)
          reading.report.push({ kind: "file", name: path, source: path, result: "not-supported", notes: [reason] });
        return reply.send(describe(reading, result, committed));
      },
    });
  });
};

/** `eth0:nic0`; a VLAN has a dot, a virtual interface has no place in a map. */
function readMap(pairs: readonly string[]): Map<string, string> {
  const problems: Problem[] = [];
  const map = new Map<string, string>();
  for (const pair of pairs) {
    const [from = "", to = "", ...rest] = pair.split(":");
    const valid = rest.length === 0 && interfaceName.safeParse(from).success && interfaceName.safeParse(to).success;
    if (!valid || map.has(from))
      problems.push({ path: "map", message: `${JSON.stringify(pair)}: expected each interface once, as eth0:nic0` });
    map.set(from, to);
  }
  if (problems.length > 0)
    throw new SteelyardError("bad-input", problems.map(({ message }) => message).join("; "), { problems });
  return map;
}

/** Rounds of leaving out what the configuration's own rules refuse: one object's absence can be the next one's mistake. */
const greatestRounds = 20;

type Wish = { principal: Principal; committed: boolean; confirmWithin: number | undefined; force: boolean };

/** What of a backup is valid here, worked out by trying; and committed when asked for. */
async function settle(
  { control, machine }: ApiContext,
  files: ReadonlyMap<string, Buffer>,
  options: ImportOptions,
  { principal, committed, confirmWithin, force }: Wish,
): Promise<{ reading: Reading; result: CommitResult; message: string }> {
  const { configuration: current, generation: madeFrom } = control.current();
  const author = { user: principal.user, source: principal.source };
  let reading = readZevenetBackup(files, current, options);
  const message = `import a backup of ${reading.product} ${reading.version ?? ""}`.trim();
  for (let round = 1; ; round++) {
    try {
      const { candidate } = reading;
      const change = guardChange(principal, machine, () => candidate);
      const wanted = { author, message, madeFrom, change, confirmWithin, force };
      const dryRun = await control.commit({ ...wanted, dryRun: true });
      if (!committed) return { reading, result: dryRun, message };
      const done = await control.commit(wanted);
      // What was planned a moment ago says more than the empty list of a change that changes nothing.
      return { reading, result: { ...done, compare: dryRun.compare }, message };
    } catch (error) {
      if (!(error instanceof SteelyardError) || error.code !== "invalid-configuration" || round === greatestRounds)
        throw error;
      const rest = withoutBlamed(reading, current, error.problems);
      if (!rest) throw error;
      reading = rest;
    }
  }
}

function describe(reading: Reading, result: CommitResult, committed: boolean): ImportResult {
  const { product, version, report } = reading;
  const count = (wanted: string) => report.filter((each) => each.result === wanted).length;
  return {
    product,
    ...(version === undefined ? {} : { version }),
    committed,
    summary: { taken: count("taken"), changed: count("changed"), notSupported: count("not-supported") },
    report,
    plan: toPlan(result),
    differences: result.compare(),
  };
}
