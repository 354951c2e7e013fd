import type { Machine } from "../adapters/machine.ts";
import { messageOf } from "../errors.ts";

/** What events are about. `statistics` come at an interval to those who ask for them, and are not kept. */
export const topics = ["commits", "states", "jobs", "statistics"] as const;
export type Topic = (typeof topics)[number];

export type Event = {
  /** Counted up; with the agent's start before it, so that an id of an earlier life is known as one. */
  id: string;
  topic: Topic;
  /** What happened: `committed`, `farm-state`, … */
  kind: string;
  /** RFC 3339, UTC. */
  time: string;
  data: object;
};

export type Listener = (event: Event) => void;

export type EventBus = {
  publish(topic: Topic, kind: string, data: object): void;
  /** Calls the listener for each event from now on, until the function it returns is called. */
  subscribe(wanted: readonly Topic[], listener: Listener): () => void;
  /** The events after an id, as far as they are kept; undefined when some are gone, or the id is of an earlier life. */
  after(id: string, wanted: readonly Topic[]): Event[] | undefined;
  /** True when somebody listens to the topic, or did so in the last minute and may come back. */
  isWanted(topic: Topic): boolean;
};

/** Kept for those who come back with a Last-Event-ID; the oldest make room. */
const greatestNumber = 1000;
const greatestBytes = 2 * 1024 * 1024;
/** Milliseconds a topic stays wanted after its last listener. */
const patience = 60_000;

export function makeEventBus({ now, log }: Pick<Machine, "now" | "log">): EventBus {
  const life = now().getTime().toString(36);
  const kept: { event: Event; number: number; bytes: number }[] = [];
  const listeners = new Set<{ wanted: readonly Topic[]; listener: Listener }>();
  const left = new Map<Topic, number>();
  let last = 0;
  /** The newest event that made room: who comes back from before it has missed something. */
  let shed = 0;
  let bytes = 0;

  function keep(event: Event): void {
    const size = JSON.stringify(event).length;
    kept.push({ event, number: last, bytes: size });
    bytes += size;
    while (kept.length > greatestNumber || bytes > greatestBytes) {
      const oldest = kept.shift();
      if (!oldest) return;
      bytes -= oldest.bytes;
      shed = oldest.number;
    }
  }

  return {
    publish(topic, kind, data) {
      last += 1;
      const event: Event = { id: `${life}-${last}`, topic, kind, time: now().toISOString(), data };
      if (topic !== "statistics") keep(event);
      for (const { wanted, listener } of [...listeners]) {
        if (!wanted.includes(topic)) continue;
        try {
          listener(event);
        } catch (error) {
          log.error(`events: telling of ${kind}: ${messageOf(error)}`);
        }
      }
    },
    subscribe(wanted, listener) {
      const own = { wanted, listener };
      listeners.add(own);
      return () => {
        if (!listeners.delete(own)) return;
        for (const topic of wanted) left.set(topic, now().getTime());
      };
    },
    after(id, wanted) {
      const [, theirs, number] = /^([a-z0-9]+)-(\d{1,15})$/.exec(id) ?? [];
      const after = Number(number);
      if (theirs !== life || after > last) return undefined;
      if (after < shed) return undefined;
      return kept.filter((each) => each.number > after && wanted.includes(each.event.topic)).map(({ event }) => event);
    },
    isWanted(topic) {
      if ([...listeners].some(({ wanted }) => wanted.includes(topic))) return true;
      const since = left.get(topic);
      return since !== undefined && now().getTime() - since < patience;
    },
  };
}
