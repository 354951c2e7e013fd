import type { PendingCommit } from "../commit/control.ts";
import type { SystemStatus } from "../system/routes.ts";
import type { System } from "../system/schema.ts";
import { type BannerFacts, renderBanner } from "./banner.ts";

/** The screen of a configured box's console: 24 lines of 80 columns, plain ASCII, without anything that changes by the second. */

export type ScreenFacts = Omit<BannerFacts, "links" | "product"> & {
  status: Pick<SystemStatus, "version" | "slot" | "generation" | "problems" | "clock">;
  links: readonly {
    name: string;
    addresses: readonly string[];
    state: string;
    speed?: number | undefined;
  }[];
  farms: readonly { name: string; state: string }[];
  /** The change that goes back unless it is confirmed. */
  pending?: Pick<PendingCommit, "parent" | "deadline"> | undefined;
  system: Pick<System, "hostname" | "management">;
};

const [width, height] = [79, 23];

export function renderStatusScreen(facts: ScreenFacts): string {
  const { status, links, farms } = facts;
  const slot = status.slot === undefined ? "" : `slot ${status.slot.toUpperCase()}, `;
  const banner = renderBanner({ ...facts, product: `Steelyard ${status.version}` }).trimEnd();
  const lines = [
    ...banner.split("\n"),
    "",
    row("Running", `${slot}generation ${status.generation}${describePending(facts.pending)}`),
    row("Health", status.problems.length === 0 ? "ok" : `DEGRADED: ${status.problems.join("; ")}`),
    row("Farms", describeFarms(farms)),
    ...wrap("Interfaces", links.map(describeLink)),
    ...(status.clock ? [row("Clock", status.clock.synchronized ? "synchronized" : "not synchronized")] : []),
  ];
  const foot = ["", "  Enter: log in     m: menu (roll back, restart, reset the password, ...)", ""];
  return `${[...lines.slice(0, height - foot.length), ...foot].map(fit).join("\n")}`;
}

/** To the minute: what changes by the second would be drawn anew on a serial line all the time. */
function describePending(pending: ScreenFacts["pending"]): string {
  if (!pending) return "";
  const back = pending.parent === 0 ? "gone" : `back to ${pending.parent}`;
  return `, ${back} at ${pending.deadline.slice(11, 16)} UTC unless confirmed`;
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(13)}${text}`;
}

/** Names and reasons come from outside: control characters of theirs must not reach a terminal. */
function fit(line: string): string {
  const plain = line.replace(/[^\x20-\x7e]/g, "?");
  return plain.length <= width ? plain : `${plain.slice(0, width - 1)}~`;
}

/** Up and not up as words; the first names of those that need somebody. */
function describeFarms(farms: ScreenFacts["farms"]): string {
  if (farms.length === 0) return "none";
  const down = farms.filter(({ state }) => !["up", "disabled", "maintenance"].includes(state));
  const up = farms.filter(({ state }) => state === "up").length;
  const resting = farms.length - up - down.length;
  const parts = [`${up} up`, ...(resting > 0 ? [`${resting} resting`] : [])];
  if (down.length === 0) return parts.join(", ");
  return `${parts.join(", ")}, ${down.length} DOWN: ${down.map(({ name }) => name).join(", ")}`;
}

function describeLink({ name, state, speed }: ScreenFacts["links"][number]): string {
  const words =
    state === "up" ? (speed === undefined ? "up" : `up ${speed} Mbit/s`) : state.replace("no-carrier", "no link");
  return `${name} ${words}`;
}

/** As many lines as it takes, at most three. */
function wrap(label: string, parts: readonly string[]): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length + 2 <= width - 16) lines[lines.length - 1] = `${last}, ${part}`;
    else lines.push(part);
  }
  const shown = lines.length > 3 ? [...lines.slice(0, 2), `... ${parts.length} in all`] : lines;
  return shown.length === 0 ? [row(label, "none")] : shown.map((line, at) => row(at === 0 ? label : "", line));
}
