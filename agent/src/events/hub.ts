import type { Machine } from "../adapters/machine.ts";
import { type EventBus, makeEventBus } from "./bus.ts";
import type { EventStream } from "./stream.ts";

/**
 * Milliseconds: between two looks at states, at statistics and at the clock for scheduled backups, and between two signs of
 * life on a stream.
 */
export type EventIntervals = { states?: number; statistics?: number; schedule?: number; beat?: number };

/** The events and those who follow them, over every listener. */
export type EventHub = {
  bus: EventBus;
  /** Each open stream, and whose it is. */
  streams: Map<EventStream, string>;
  beat: number;
};

export function makeEventHub(machine: Pick<Machine, "now" | "log">, { beat = 15_000 }: EventIntervals = {}): EventHub {
  return { bus: makeEventBus(machine), streams: new Map(), beat };
}
