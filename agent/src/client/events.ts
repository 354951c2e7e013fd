import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { SteelyardError } from "../errors.ts";

/** Reads Server-Sent Events (HTML, 9.2). */

export type ServerEvent = {
  /** Of the last event that had one. */
  id: string | undefined;
  /** The kind: `committed`, `farm-state`, … */
  event: string;
  data: unknown;
};

export type FollowOptions = {
  /** Events after this one come first, as far as the box kept them. */
  after?: string;
  signal?: AbortSignal;
};

/** A sign of life comes every 15 seconds; without three of them the connection is dead, whatever TCP believes. */
const silence = 45_000;
const retry = 3_000;

/** The events of one connection, until it ends. Data that is not JSON is given as text. */
export async function* readEvents(response: AsyncIterable<Buffer | string>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let id: string | undefined;
  let [event, data]: [string, string[]] = ["message", []];
  for await (const part of response) {
    rest += typeof part === "string" ? part : decoder.decode(part, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { id, event, data: readData(data.join("\n")) };
        [event, data] = ["message", []];
        continue;
      }
      const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
    }
  }
}

/**
 * The events from now on, or after one, through connections that end and begin again; ends by the signal alone. Throws what
 * a refused connection says, and what the first one fails with.
 */
export async function* followEvents(
  open: (headers: Record<string, string>) => Promise<IncomingMessage>,
  { after, signal }: FollowOptions = {},
): AsyncGenerator<ServerEvent> {
  let last = after;
  let reached = false;
  while (!signal?.aborted) {
    let response: IncomingMessage | undefined;
    const stop = () => response?.destroy();
    try {
      response = await open(last === undefined ? {} : { "Last-Event-ID": last });
      reached = true;
      response.socket.setTimeout(silence, stop);
      signal?.addEventListener("abort", stop, { once: true });
      for await (const event of readEvents(response)) {
        last = event.id ?? last;
        yield event;
        if (signal?.aborted) return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      // Nobody there for a moment is no reason to give up; a refusal is.
      if (!reached || (error instanceof SteelyardError && error.code !== "not-ready")) throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
      stop();
    }
    await sleep(retry, undefined, signal ? { signal } : {}).catch(() => {});
  }
}

function readData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
