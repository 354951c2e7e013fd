import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { isGuessedFirst } from "../access/password-policy.ts";
import { withoutUsedCodes } from "../access/totp/used-codes.ts";
import { requirePermission } from "../api/authentication.ts";
import { acceptBinaryBodies, binaryBody } from "../api/binary-body.ts";
import {
  authorOf,
  changeQuery,
  difference,
  guardChange,
  isDryRun,
  keepCommit,
  plan,
  principalOf,
  toPlan,
} from "../api/change.ts";
import type { ApiContext, Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { addSingleton } from "../api/singleton.ts";
import { interfaceName, objectName } from "../configuration/fields.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { locationOf } from "../jobs/routes.ts";
import { job } from "../jobs/schema.ts";
import { checkBackup, deleteBackup, findBackup, greatestBackup, keepBackup, listBackups, loadBackup } from "./apply.ts";
import { readBackup } from "./contents.ts";
import { backupContextOf, startBackup } from "./context.ts";
import type { Key, Lock } from "./encryption.ts";
import { withIdentity } from "./identity/restore.ts";
import { planRestore, requireDecided } from "./restore.ts";
import { manifest, recipients } from "./schema.ts";
import { storedBackup } from "./stored.ts";

const url = "/api/v1/system/backups";
const tags = ["Backups"];
const command = { "x-command": "backup" };
const parameters = z.strictObject({ backup: objectName.describe("Name of the backup") });
const list = defineList(storedBackup, { sort: "-time" });
const step = (kind: string, summary: string) => [{ subsystem: "backup", kind, summary }];

const passphrase = z
  .string()
  .min(12, "expected at least 12 characters: whoever has the file can try as often as it takes")
  .max(1024, "expected at most 1024 characters")
  .refine((text) => !isGuessedFirst(text), "expected a passphrase that is not among the first to be guessed");

const wish = z
  .strictObject({
    name: objectName.optional().describe("Left out: the host name and the time"),
    passphrase: passphrase.optional().describe("Opens the backup, here or with age; it is kept nowhere"),
    recipients: recipients.optional(),
    identity: z
      .boolean("expected true or false")
      .default(true)
      .describe("With the certificate and key of the API and the host keys of SSH"),
    history: z.boolean("expected true or false").default(false).describe("With the generations of before, to look up"),
  })
  .refine(
    ({ passphrase, recipients = [] }) => (passphrase !== undefined) !== recipients.length > 0,
    "expected either a passphrase or recipients",
  )
  .meta({ id: "BackupWish", examples: [{ passphrase: "four words nobody guesses", identity: true, history: false }] });

const restoreWish = z
  .strictObject({
    passphrase: z.string().max(1024, "expected at most 1024 characters").optional().describe("Of the backup"),
    secretKey: z
      .string()
      .max(256, "expected at most 256 characters")
      .optional()
      .describe("Of a public key that it was made for: AGE-SECRET-KEY-1…"),
    map: z
      .record(interfaceName, interfaceName)
      .default({})
      .describe("Network card of the backup and the one of this box in its place; wins over what would be found"),
    acceptProposals: z
      .boolean("expected true or false")
      .default(false)
      .describe("Take the places that are only proposed, too: look at a dry run first"),
    identity: z
      .boolean("expected true or false")
      .default(false)
      .describe("Take the certificate and key of the API and the host keys of SSH too, at once and for good"),
  })
  .refine(
    ({ passphrase, secretKey }) => (passphrase === undefined) !== (secretKey === undefined),
    "expected either passphrase or secretKey",
  )
  .meta({
    id: "RestoreWish",
    examples: [{ passphrase: "four words nobody guesses", map: { eth0: "eth2" }, identity: false }],
  });

const place = z
  .object({
    name: z.string().describe("Network card in the backup"),
    to: z.string().optional().describe("The one of this box in its place; none: nothing fits"),
    by: z
      .enum(["named", "mac", "proposed", "open"])
      .describe("named: by you; mac: the same card; proposed: accept it or name another; open: name one"),
    reason: z.string().describe("Why this one"),
    candidates: z.array(z.string()).describe("Cards of this box that may take its place, when that is not certain"),
  })
  .meta({
    id: "NicPlace",
    examples: [
      {
        name: "eth0",
        to: "eth1",
        by: "proposed",
        reason: "same driver in the same place",
        candidates: ["eth1", "eth2"],
      },
    ],
  });

const report = z
  .object({
    manifest: manifest.describe("What the backup says of itself"),
    restored: z.boolean().describe("False: nothing was changed"),
    nics: z.array(place).describe("Each network card that the configuration names, and what becomes of it"),
    identity: z.boolean().describe("Certificate, key and host keys of the backup were taken, or would be"),
    plan: plan.optional().describe("What is done to the machine; none while a card has no place"),
    differences: z.array(difference).describe("What changes, object by object"),
  })
  .meta({
    id: "RestoreReport",
    examples: [
      {
        manifest: (manifest.meta()?.examples as unknown[] | undefined)?.[0],
        restored: false,
        nics: [
          {
            name: "eth0",
            to: "eth0",
            by: "mac",
            reason: "the same card, by its permanent MAC address",
            candidates: [],
          },
        ],
        identity: false,
        plan: { generation: 8, warnings: [], steps: [], confirmWithin: 0, reasons: [] },
        differences: [],
      },
    ],
  });

export type RestoreReport = z.output<typeof report>;

/** Backups: made, kept, fetched, brought and restored. */
export const addBackupRoutes: Routes = (app, context) => {
  const { machine } = context;
  const nameOf = ({ params }: FastifyRequest) => (params as { backup: string }).backup;

  app.get(url, {
    config: { permission: "backups:read" },
    schema: {
      operationId: "listBackups",
      ...command,
      tags,
      summary: "List the backups that are kept on the box",
      description: "With what is known of them without their key.",
      querystring: list.query,
      response: { 200: list.answer, default: problemDocument },
    },
    handler: async (request, reply) => list.send(request, reply, await listBackups(machine)),
  });

  app.post(url, {
    config: { permission: "backups:create", errors: ["exists", "too-many-jobs"] },
    schema: {
      operationId: "createBackup",
      ...command,
      tags,
      summary: "Make a backup, and keep it on the box",
      description:
        "One age file, encrypted with the passphrase or for public keys, with the configuration, its secrets and, unless told otherwise, the keys of this box. The answer is the job; its result has the name of the backup.",
      querystring: dryRunQuery,
      body: wish,
      response: {
        200: dryRunAnswer,
        202: job.describe("The job; Location is where to follow it"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const {
        name,
        passphrase: secret,
        recipients: keys = [],
        identity,
        history,
      } = request.body as z.output<typeof wish>;
      if (name !== undefined && (await listBackups(machine)).some((each) => each.name === name))
        throw new SteelyardError("exists", `there is a backup ${name} already`);
      if (isDryRun(request)) {
        const to = secret === undefined ? `${keys.length} public keys` : "a passphrase";
        const kept = [identity ? "the keys of the box" : "", history ? "the history" : ""].filter(
          (each) => each !== "",
        );
        const what = ["the configuration", ...kept].join(", ");
        const made = name === undefined ? "a backup" : `backup ${name}`;
        return sendSteps(reply, context.control, step("make-backup", `make ${made} for ${to}, with ${what}`));
      }
      const lock: Lock = secret === undefined ? { recipients: keys } : { passphrase: secret };
      const started = startBackup(context, authorOf(request), { name, lock, identity, history, origin: "made" });
      return reply.code(202).header("Location", locationOf(started)).send(started);
    },
  });

  app.get(`${url}/:backup`, {
    config: { permission: "backups:read" },
    schema: {
      operationId: "getBackup",
      ...command,
      tags,
      summary: "Read what is known of a backup without its key",
      description: "Who has the key sees more by a dry run of restoring it.",
      params: parameters,
      response: { 200: storedBackup, default: problemDocument },
    },
    handler: async (request) => await findBackup(machine, nameOf(request)),
  });

  app.delete(`${url}/:backup`, {
    config: { permission: "backups:delete" },
    schema: {
      operationId: "deleteBackup",
      ...command,
      tags,
      summary: "Delete a backup",
      description: "Only from this box.",
      params: parameters,
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 204: z.null().describe("Deleted"), default: problemDocument },
    },
    handler: async (request, reply) => {
      if (isDryRun(request)) {
        const { name, time } = await findBackup(machine, nameOf(request));
        return sendSteps(reply, context.control, step("delete-backup", `delete backup ${name} of ${time}`));
      }
      await deleteBackup(machine, nameOf(request));
      return reply.code(204).send();
    },
  });

  app.get(`${url}/:backup/file`, {
    config: { permission: "backups:download", errors: ["too-large"] },
    schema: {
      operationId: "downloadBackup",
      ...{ "x-command": "none" },
      tags,
      summary: "Fetch a backup: the encrypted file",
      description: "age --decrypt opens it on any computer; inside is a .tar.gz.",
      params: parameters,
      response: {
        200: {
          description: "The file",
          content: {
            "application/octet-stream": { schema: z.string().meta({ examples: ["(the bytes of the file)"] }) },
          },
        },
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const name = nameOf(request);
      return reply
        .type("application/octet-stream")
        .header("Content-Disposition", `attachment; filename="${name}.age"`)
        .send(await loadBackup(machine, name));
    },
  });

  addRestoreRoute(app, context);

  // In a scope of its own: nowhere else is an age file a request.
  app.register(async (scope) => {
    acceptBinaryBodies(scope, ["application/octet-stream"]);
    scope.put(`${url}/:backup/file`, {
      bodyLimit: greatestBackup,
      config: { permission: "backups:upload", errors: ["exists", "bad-backup", "disk-full"] },
      schema: {
        operationId: "uploadBackup",
        ...{ "x-command": "none" },
        tags,
        summary: "Bring a backup to the box, to restore it",
        description:
          "At most 64 MiB. Only its first lines are looked at: the rest cannot be read without its key. A backup of this name must not be there.",
        consumes: ["application/octet-stream"],
        params: parameters,
        querystring: dryRunQuery,
        body: binaryBody("application/octet-stream", "a backup of Steelyard, as it was fetched"),
        response: { 200: dryRunAnswer, 201: storedBackup, default: problemDocument },
      },
      handler: async (request, reply) => {
        const about = { name: nameOf(request), time: machine.now().toISOString(), origin: "uploaded" as const };
        const data = Buffer.from(request.body as Buffer);
        if (isDryRun(request)) {
          const { lock, size } = await checkBackup(machine, about, data);
          const summary = `keep backup ${about.name}: ${size} bytes, opened by ${lock}`;
          return sendSteps(reply as FastifyReply, context.control, step("keep-backup", summary));
        }
        const kept = await keepBackup(machine, about, data);
        return reply.code(201).header("Location", `${url}/${kept.name}`).send(kept);
      },
    });
  });

  addSingleton(app, context, {
    url: "/api/v1/system/backup-schedule",
    name: "backups",
    tag: "Backups",
    noun: "the schedule of backups",
    operation: "BackupSchedule",
    description: "Backups the box makes by itself, for public keys of age: their secret keys are not on the box.",
    examplePatch: {
      enabled: true,
      recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
      keep: 14,
    },
  });
};

function addRestoreRoute(app: Parameters<Routes>[0], context: ApiContext): void {
  app.post(`${url}/:backup/restore`, {
    config: { permission: "backups:restore", errors: ["bad-backup"] },
    schema: {
      operationId: "restoreBackup",
      ...{ "x-command": "backup restore" },
      tags,
      summary: "Restore a backup",
      description:
        "A change like any other: checked, applied or put back, and to be confirmed where it can cut off the operator. Network cards are found by their permanent MAC address; other places are proposed, and taken when they are named in map or with acceptProposals. With dryRun=true the answer says what would change. The keys of the box, with identity, are no part of what a missing confirmation takes back.",
      params: parameters,
      querystring: changeQuery,
      body: restoreWish,
      response: { 200: report, default: problemDocument },
    },
    handler: async (request, reply): Promise<RestoreReport> => {
      const { backup: name } = request.params as { backup: string };
      const { dryRun, confirmWithin, force } = request.query as z.output<typeof changeQuery>;
      const { secretKey, passphrase: secret = "", ...options } = request.body as z.output<typeof restoreWish>;
      const key: Key = secretKey === undefined ? { passphrase: secret } : { secretKey };
      const { control, machine } = context;
      const backup = await readBackup(await loadBackup(machine, name), key);
      const planned = planRestore(backup, await backupContextOf(context).readNics(), options);
      const wanted = dryRun ? planned.configuration : requireDecided(planned);
      const files = options.identity ? backup.identity : [];
      if (options.identity && files.length === 0)
        throw badInput([
          { path: "identity", message: "the backup was made without the keys of its box: leave it out" },
        ]);
      // They are no objects of the configuration, so no change of it asks for a permission.
      if (files.length > 0) requirePermission(principalOf(request), "system:update");
      const about = { manifest: backup.manifest, restored: false, nics: planned.places, identity: files.length > 0 };
      if (!wanted) return { ...about, differences: [] };
      const message = `restore backup ${name} of ${backup.manifest.hostname}, ${backup.manifest.time}`;
      const change = guardChange(principalOf(request), machine, (current) => withoutUsedCodes(current, wanted));
      const author = authorOf(request);
      const commit = () => control.commit({ author, message, change, dryRun, confirmWithin, force });
      const result = await withIdentity(context, dryRun ? [] : files, commit);
      const differences = result.compare();
      if (dryRun) return { ...about, plan: toPlan(result), differences };
      keepCommit(request, reply, message, result);
      return { ...about, restored: true, plan: toPlan(result), differences };
    },
  });
}
