import { Readable } from "node:stream";
import type { Event, Topic } from "./bus.ts";

/** One client's stream of Server-Sent Events (HTML, 9.2): text in, with an end for those who do not read it. */

/** Bytes that may wait for a slow reader; a hundred events of ordinary size. */
const greatestBacklog = 256 * 1024;
/** Milliseconds a reader has to take what was written before the end. */
const lastChance = 5_000;

export type EventStream = {
  readable: Readable;
  send(event: Event): void;
  /** A comment, which clients ignore and which shows that both ends are there. */
  beat(): void;
  /** A last event that says why, then the end. */
  end(reason: EndReason): void;
};

export type EndReason = "closing" | "logged-out" | "too-slow";

const farewells: Record<EndReason, string> = {
  closing: "the agent is stopping or its port moves: connect again",
  "logged-out": "the session or key has ended: log in again",
  "too-slow": "events were not read fast enough: connect again, with the last id that was read",
};

export function makeEventStream(): EventStream {
  let ended = false;
  const readable = new Readable({ read() {}, highWaterMark: greatestBacklog });
  // What the client is told before anything else: milliseconds until it connects again.
  readable.push("retry: 3000\n\n");

  function end(reason: EndReason): void {
    if (ended) return;
    ended = true;
    readable.push(formatEvent("end", { reason, message: farewells[reason] }));
    readable.push(null);
    setTimeout(() => readable.destroy(), lastChance).unref();
  }

  return {
    readable,
    send(event) {
      if (ended) return;
      readable.push(formatEvent(event.kind, event, event.id));
      if (readable.readableLength > greatestBacklog) end("too-slow");
    },
    beat() {
      if (!ended) readable.push(": alive\n\n");
    },
    end,
  };
}

/** Told to a client that comes back too late: what it knows may be out of date. */
export function formatGap(wanted: readonly Topic[]): string {
  const message = "events were missed since that id: read again what you show";
  return formatEvent("gap", { topics: wanted, message });
}

export function formatEvent(kind: string, data: object, id?: string): string {
  // JSON has no line breaks, so one line of data is enough.
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
