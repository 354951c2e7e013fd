import { makeLineLog } from "../../adapters/line-log.ts";
import type { Machine } from "../../adapters/machine.ts";
import type { ConfigurationControl, ControlEvent } from "../../commit/control.ts";
import { makeAnchor } from "./anchor.ts";
import { boundChanges, boundEvent } from "./bounds.ts";
import { type AuditLimits, type AuditLog, openAuditLog } from "./log.ts";
import { type AuditEvent, decodeRecord } from "./record.ts";
import { limitRepeats } from "./repeats.ts";

/** The audit log of the box, as those who report to it know it. */
export type Audit = {
  /** Resolves when the record of a change is on the disk. Never throws. */
  record(event: Omit<AuditEvent, "time">): Promise<void>;
  log: AuditLog;
  close(): Promise<void>;
};

const directory = "/data/audit";

export async function openAudit(machine: Machine, limits?: AuditLimits): Promise<Audit> {
  const log = await openAuditLog(makeLineLog(machine.path(directory)), machine, {
    limits,
    anchor: makeAnchor(machine),
  });
  const repeats = limitRepeats((event) => log.append(event), machine);
  return {
    log,
    // What was refused changed nothing, so a power cut may take its record of the last seconds.
    record: async (event) =>
      isCheap(event) ? await repeats.add(boundEvent(event)) : await log.append(boundEvent(event), { sync: true }),
    async close() {
      await repeats.flush();
      await log.close();
    },
  };
}

/** What somebody can make as often as he likes: refusals, and with no login even failures. */
function isCheap({ result, means }: Omit<AuditEvent, "time">): boolean {
  return result === "refused" || (result === "failed" && means === "none");
}

/**
 * Records what happens to the configuration without a request of the API: the first boot from a file, a change that nobody
 * confirmed, damage. Gives back how to stop.
 */
export function auditControl({ record }: Audit, control: ConfigurationControl): () => void {
  return control.subscribe((event) => {
    const about = describeEvent(event);
    if (about) void recordWithChanges(about);
  });

  async function recordWithChanges({ event, from, to }: Described): Promise<void> {
    await record({ ...event, ...(from === undefined ? {} : await readChanges(control, from, to)) });
  }
}

/** Records of the log that are looked at, newest first, for the last generation it knows. */
const greatestLookback = 10_000;

/** Makes up for the record of a commit that a power cut took: the generation is there, and says who made it. */
export async function recordMissed({ record, log }: Audit, control: ConfigurationControl): Promise<void> {
  const known = await findLastGeneration(log);
  if (known === undefined || control.current().generation <= known) return;
  const missed = (await control.history()).filter(({ generation }) => generation > known).reverse();
  for (const { generation, parent, author, source, message } of missed) {
    await record({
      ...whoever({ author, source }),
      operation: "commit",
      result: "done",
      message: `${message} (recorded after a restart)`,
      generation,
      ...(await readChanges(control, parent, generation)),
    });
  }
}

async function findLastGeneration(log: AuditLog): Promise<number | undefined> {
  let seen = 0;
  for await (const line of log.lines("newest")) {
    const generation = decodeRecord(line)?.record.generation;
    if (generation !== undefined) return generation;
    seen += 1;
    if (seen >= greatestLookback) return undefined;
  }
  return undefined;
}

type Described = { event: Omit<AuditEvent, "time">; from?: number; to: number };

function describeEvent(event: ControlEvent): Described | undefined {
  if (event.kind === "committed" && isOwn(event.source))
    return {
      event: {
        ...whoever(event),
        operation: "commit",
        result: "done",
        message: event.message,
        generation: event.generation,
      },
      from: event.parent,
      to: event.generation,
    };
  if (event.kind === "refused" && isOwn(event.source)) {
    const { message, code, problems } = event;
    return { event: { ...whoever(event), operation: "commit", result: "refused", message, code, problems }, to: 0 };
  }
  if (event.kind === "reverted" && event.reason !== "asked") {
    const message = `generation ${event.from} was not confirmed (${event.reason}): back to the content of ${event.to}`;
    return {
      event: { ...whoever(event), operation: "revert", result: "done", message, generation: event.generation },
      from: event.from,
      to: event.generation,
    };
  }
  if (event.kind === "configuration-damaged") {
    const who = { user: "", means: "agent", source: "agent", object: "configuration" };
    const message = `generation ${event.generation} cannot be used, serving ${event.serving}: ${event.message}`;
    return { event: { ...who, operation: "open", result: "failed", message, generation: event.serving }, to: 0 };
  }
  return undefined;
}

function whoever({ author, source }: { author: string; source: string }) {
  return { user: author, means: "agent", source, object: "configuration" };
}

/** True for what the agent does by itself; a request of the API, which the console's are too, has a record of its own. */
function isOwn(source: string): boolean {
  return source !== "local" && source !== "console" && !/[.:]/.test(source);
}

async function readChanges(control: ConfigurationControl, from: number, to: number) {
  return boundChanges(await control.diff(from, to).catch(() => []));
}
