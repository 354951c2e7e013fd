import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../../adapters/machine.ts";
import { openSyslog, type SyslogChannel } from "../../../adapters/syslog.ts";
import { messageOf } from "../../../errors.ts";
import { splitCertificates } from "../../directory/schema.ts";
import type { AuditLog } from "../log.ts";
import { decodeRecord } from "../record.ts";
import { type Entry, formatRecord } from "./format.ts";
import { type AuditTarget, defaultPorts } from "./schema.ts";

/** How far a server has got: kept over restarts. */
export type Position = { sequence: number; lost: number };

export type SenderStatus = Position & {
  state: "connected" | "waiting" | "connecting";
  /** Records still to send. */
  queued: number;
  sent: number;
  error: string;
};

export type Sender = { status(): SenderStatus; stop(): Promise<void> };

/** What the box shows to a server that asks who it is: PEM. */
export type ClientCertificate = { certificate: string; key: string };

type Parts = {
  name: string;
  target: AuditTarget;
  client?: ClientCertificate | undefined;
  position: Position;
  log: Pick<AuditLog, "linesAfter" | "subscribe" | "head">;
  hostname(): string;
  machine: Pick<Machine, "log">;
  moved(position: Position): void;
  backoff?: Backoff;
};

export type Backoff = { first: number; longest: number };

/** Milliseconds to the next try after one that failed; doubled by each. */
const usualBackoff: Backoff = { first: 1000, longest: 60_000 };
const connectTimeout = 10_000;
/**
 * Syslog knows no receipt: what was handed over in the last milliseconds before a connection broke may have been lost with it,
 * and is sent again. A receiver tells the second one by its sequence.
 */
const doubtful = 5000;
/** Records kept in memory for a server that keeps up; for one that does not they are read from the log again. */
const greatestFresh = 200;
/** Milliseconds between two looks at a quiet connection: whether it is still there. */
const idleCheck = 1000;
/** Milliseconds that stopping waits for a server that does not answer; the agent has to end, and what is under way comes again. */
const greatestFarewell = 500;

/**
 * Sends the audit log to one server. The log on the disk is the queue: nothing is held in memory for a server that is away, a
 * restart forgets nothing, and the change path waits for nobody. What retention removes before it was sent is counted as lost.
 */
export function startSender(parts: Parts): Sender {
  const { name, target, log, machine, backoff = usualBackoff } = parts;
  const stopped = new AbortController();
  const { signal } = stopped;
  let { sequence, lost } = parts.position;
  let state: SenderStatus["state"] = "connecting";
  let sent = 0;
  /** The place belongs to another sender now. */
  let over = false;
  let error = "";
  let fresh: Entry[] = [];
  let wake = () => {};
  /** Handed over, and when: after a break it begins again behind the last one that is old enough. */
  let handed: { sequence: number; time: number }[] = [];
  const unsubscribe = log.subscribe((record, line) => {
    fresh.push({ record, line });
    if (fresh.length > greatestFresh) fresh = fresh.slice(-greatestFresh / 2);
    wake();
  });
  const running = run();

  async function run(): Promise<void> {
    let delay = backoff.first;
    while (!signal.aborted) {
      const began = sent;
      try {
        state = "connecting";
        const channel = await open();
        try {
          state = "connected";
          if (error !== "") machine.log.info(`audit target ${name}: connected again`);
          error = "";
          await feed(channel);
        } finally {
          channel.close();
        }
      } catch (failure) {
        if (signal.aborted) break;
        const words = messageOf(failure);
        if (words !== error) machine.log.warn(`audit target ${name}: ${words}`);
        error = words;
      }
      rewind();
      if (sent > began) delay = backoff.first;
      state = "waiting";
      await sleep(delay, undefined, { signal, ref: false }).catch(() => undefined);
      delay = Math.min(delay * 2, backoff.longest);
    }
  }

  async function open(): Promise<SyslogChannel> {
    const { transport, host, caCertificates, pinnedCertificates, serverName } = target;
    return await openSyslog({
      transport,
      host,
      port: target.port ?? defaultPorts[transport],
      pins: pinnedCertificates,
      timeout: connectTimeout,
      ...(caCertificates === undefined ? {} : { ca: splitCertificates(caCertificates) }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(parts.client ? { client: parts.client } : {}),
    });
  }

  async function feed(channel: SyslogChannel): Promise<void> {
    while (!signal.aborted) {
      channel.check();
      if (log.head().sequence <= sequence) {
        await rest();
        settle();
        continue;
      }
      for await (const entry of due()) {
        const { record } = entry;
        if (signal.aborted) return;
        if (record.sequence > sequence + 1) {
          lost += record.sequence - sequence - 1;
          machine.log.warn(
            `audit target ${name}: ${record.sequence - sequence - 1} records were removed before they were sent, or cannot be read`,
          );
        }
        await channel.send(formatRecord(entry, target, parts.hostname()));
        sequence = record.sequence;
        sent += 1;
        handed.push({ sequence, time: performance.now() });
        settle();
      }
    }
  }

  /** What comes next, from memory while the server keeps up. */
  async function* due(): AsyncGenerator<Entry> {
    if (fresh.some(({ record }) => record.sequence === sequence + 1)) {
      yield* fresh.filter(({ record }) => record.sequence > sequence);
      fresh = fresh.filter(({ record }) => record.sequence > sequence);
      return;
    }
    let found = false;
    for await (const line of log.linesAfter(sequence)) {
      const record = decodeRecord(line)?.record;
      if (!record || record.sequence <= sequence) continue;
      found = true;
      yield { record, line };
    }
    // A log that cannot be read any more: not again and again without a pause.
    if (!found) await rest();
  }

  async function rest(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const pause = new AbortController();
    const either = AbortSignal.any([signal, pause.signal]);
    await Promise.race([woken, sleep(idleCheck, undefined, { signal: either, ref: false }).catch(() => undefined)]);
    pause.abort();
    wake = () => {};
  }

  /** Tells the position that is beyond doubt. */
  function settle(): void {
    if (over) return;
    const limit = performance.now() - (target.transport === "udp" ? 0 : doubtful);
    const safe = handed.filter(({ time }) => time <= limit).at(-1);
    if (!safe) return;
    handed = handed.filter(({ sequence: each }) => each > safe.sequence);
    parts.moved({ sequence: safe.sequence, lost });
  }

  function rewind(): void {
    settle();
    const [first] = handed;
    if (first) sequence = first.sequence - 1;
    handed = [];
  }

  return {
    status: () => {
      const queued = Math.max(0, log.head().sequence - sequence);
      return { state, sequence, lost, queued, sent, error };
    },
    async stop() {
      stopped.abort();
      wake();
      unsubscribe();
      await Promise.race([running, sleep(greatestFarewell, undefined, { ref: false })]);
      rewind();
      over = true;
    },
  };
}
