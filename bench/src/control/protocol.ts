import type { Tally } from "./trace.ts";

/** What goes between the bench, the box in its namespaces and the agent in the box. */

export type Question =
  | { ask: "take" }
  | { ask: "memory" }
  | { ask: "seed"; count: number; enabled: number }
  | { ask: "stop" };

/** MiB. */
export type Memory = { resident: number; peak: number; heapUsed: number; heapTotal: number; external: number };

/** Milliseconds since the bundle was loaded and since the process began. */
export type Ready = { sinceLoad: number; sinceStart: number; tally: Tally };

export type Answer =
  | { ready: Ready }
  | { tally: Tally }
  | { memory: Memory }
  | { failure: string }
  | { unit: string; order: "start" | "stop" | "restart"; id: number };

/** To the box: to start an agent, on the same data plane and configuration as the one before. */
export type BoxOrder = { start: { arguments: string[] } } | { question: Question };

export type BoxAnswer = { up: true } | { ended: number | null } | { answer: Answer };
