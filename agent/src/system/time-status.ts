import type { Machine } from "../adapters/machine.ts";

/** Whether the clock follows its servers, in the words of chronyc(1). */

export type TimeSource = {
  /** As configured. */
  server: string;
  state: "selected" | "combined" | "not-combined" | "unreachable" | "falseticker" | "unstable";
  /** 0 until it has answered. */
  stratum: number;
  /** Of the last eight questions, how many were answered. */
  answered: number;
  /** Seconds the box was ahead of it at the last measurement. */
  offset: number;
  /** NTS is in use with it. */
  nts: boolean;
};

export type TimeStatus = {
  synchronized: boolean;
  /** Steps to a reference clock; absent when not synchronized. */
  stratum?: number;
  /** Seconds the clock is ahead of true time by chrony's estimate; absent when not synchronized. */
  offset?: number;
  sources: TimeSource[];
};

const states: Record<string, TimeSource["state"]> = {
  "*": "selected",
  "+": "combined",
  "-": "not-combined",
  "?": "unreachable",
  x: "falseticker",
  "~": "unstable",
};

/** Undefined while no time servers are configured, and while chronyd does not answer. */
export async function readTimeStatus(machine: Machine, running: boolean): Promise<TimeStatus | undefined> {
  if (!running) return undefined;
  const ask = async (question: string) => {
    const { code, stdout } = await machine.run(["chronyc", "-c", "-N", question], { accept: [0, 1], timeout: 5_000 });
    return code === 0 ? stdout : "";
  };
  const [tracking, sources, authentication] = await Promise.all(["tracking", "sources", "authdata"].map(ask));
  return parseTime(tracking ?? "", sources ?? "", authentication ?? "");
}

/** Reads the comma-separated form (`chronyc -c`) of the reports tracking, sources and authdata. */
export function parseTime(tracking: string, sources: string, authentication: string): TimeStatus | undefined {
  const [facts = []] = rows(tracking);
  if (facts.length < 14) return undefined;
  const synchronized = facts[13] !== "Not synchronised";
  const authenticated = new Set(rows(authentication).flatMap(([name = "", mode]) => (mode === "NTS" ? name : [])));
  return {
    synchronized,
    ...(synchronized ? { stratum: Number(facts[2]), offset: Number(facts[4]) } : {}),
    sources: rows(sources).map(([, state = "?", server = "", stratum, , reach = "0", , offset]) => ({
      server,
      state: states[state] ?? "unreachable",
      stratum: Number(stratum),
      answered: countBits(Number.parseInt(reach, 8)),
      offset: Number(offset),
      nts: authenticated.has(server),
    })),
  };
}

function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(","));
}

function countBits(value: number): number {
  return value.toString(2).replaceAll("0", "").length;
}
