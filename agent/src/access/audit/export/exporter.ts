import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { readTextIfExists, writeAtomically } from "../../../adapters/files.ts";
import type { Machine } from "../../../adapters/machine.ts";
import type { ConfigurationControl } from "../../../commit/control.ts";
import type { Configuration } from "../../../configuration/schema.ts";
import { messageOf } from "../../../errors.ts";
import type { AuditLog } from "../log.ts";
import type { AuditTarget } from "./schema.ts";
import {
  type Backoff,
  type ClientCertificate,
  type Position,
  type Sender,
  type SenderStatus,
  startSender,
} from "./sender.ts";

/** How far each server has got: on /data, beside the log it counts. */
const path = "/data/access/audit-targets.json";
const positions = z.record(z.string(), z.object({ sequence: z.int(), lost: z.int() }));
/** Milliseconds between two writes; what a power cut takes is sent twice. */
const writeInterval = 5000;

export type AuditExport = {
  /** Of one target; undefined when it is not there or is disabled. */
  status(name: string): SenderStatus | undefined;
  close(): Promise<void>;
};

/**
 * A sender for each enabled target of the configuration. A target begins with what is recorded from then on; one that is changed or
 * disabled keeps its place, one that is deleted loses it.
 */
export async function startExport(
  control: ConfigurationControl,
  log: AuditLog,
  machine: Pick<Machine, "path" | "log">,
  backoff?: Backoff,
): Promise<AuditExport> {
  const known = new Map<string, Position>(Object.entries(await read()));
  const senders = new Map<string, { target: AuditTarget; client: ClientCertificate | undefined; sender: Sender }>();
  let turn: Promise<void> = Promise.resolve();
  let writing: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const unsubscribe = control.subscribe(({ kind }) => {
    if (kind === "committed" || kind === "reverted") void follow();
  });
  await follow();

  async function read(): Promise<Record<string, Position>> {
    try {
      return positions.parse(JSON.parse((await readTextIfExists(machine.path(path))) ?? "{}"));
    } catch (error) {
      machine.log.warn(`audit targets: ${path} cannot be used: ${messageOf(error)}`);
      return {};
    }
  }

  function follow(): Promise<void> {
    turn = turn.then(update).catch((error) => machine.log.error(`audit targets: ${messageOf(error)}`));
    return turn;
  }

  async function update(): Promise<void> {
    const { auditTargets, certificates } = control.current().configuration;
    for (const [name, { target, client, sender }] of senders) {
      const wanted = Object.hasOwn(auditTargets, name) ? auditTargets[name] : undefined;
      if (!closed && wanted?.enabled && isDeepStrictEqual([wanted, clientOf(wanted, certificates)], [target, client]))
        continue;
      await sender.stop();
      senders.delete(name);
    }
    for (const name of known.keys()) if (!Object.hasOwn(auditTargets, name)) known.delete(name);
    if (closed) return;
    for (const [name, target] of Object.entries(auditTargets)) {
      if (!target.enabled || senders.has(name)) continue;
      const start = known.get(name) ?? { sequence: log.head().sequence, lost: 0 };
      // A log that was begun anew counts from one again.
      const position = start.sequence > log.head().sequence ? { ...start, sequence: 0 } : start;
      known.set(name, position);
      const hostname = () => control.current().configuration.system.hostname;
      const moved = (next: Position) => {
        known.set(name, next);
        timer ??= setTimeout(write, writeInterval).unref();
      };
      const client = clientOf(target, certificates);
      const sender = startSender({
        name,
        target,
        client,
        position,
        log,
        hostname,
        machine,
        moved,
        ...(backoff ? { backoff } : {}),
      });
      senders.set(name, { target, client, sender });
    }
    write();
  }

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(() =>
      writeAtomically(machine.path(path), JSON.stringify(Object.fromEntries(known)), 0o600).catch((error) =>
        machine.log.warn(`audit targets: ${path} cannot be written: ${messageOf(error)}`),
      ),
    );
  }

  return {
    status: (name) => senders.get(name)?.sender.status(),
    async close() {
      closed = true;
      unsubscribe();
      await follow();
      write();
      await writing;
    },
  };
}

/** Its verification has seen to it that there is one. */
function clientOf(
  { clientCertificate: name }: AuditTarget,
  certificates: Configuration["certificates"],
): ClientCertificate | undefined {
  const found = name !== undefined && Object.hasOwn(certificates, name) ? certificates[name] : undefined;
  return found?.certificate === undefined ? undefined : { certificate: found.certificate, key: found.key };
}
