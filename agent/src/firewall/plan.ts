import { isDeepStrictEqual } from "node:util";
import type { StepBase } from "../commit/subsystem.ts";
import type { FirewallArtefacts, Management } from "./render.ts";

export type FirewallStep = StepBase &
  ({ kind: "load-base-table"; management: Management } | { kind: "set-management"; management: Management });

/** Loading the base table empties its sets, so that step fills them too. */
export function planFirewall(now: FirewallArtefacts, { management }: FirewallArtefacts): FirewallStep[] {
  if (now.table.state !== "loaded") {
    const reason = now.table.state === "missing" ? "it is missing" : now.table.reason;
    return [{ kind: "load-base-table", summary: `load the base firewall: ${reason}`, management }];
  }
  if (isDeepStrictEqual(now.management, management)) return [];
  const { interfaces, isolated, ports } = management;
  const where = interfaces.length === 0 ? "no interface" : interfaces.join(", ");
  const apart = isolated.length === 0 ? "" : `, and keep ${isolated.join(", ")} apart`;
  const summary = `open management on ${where}, tcp port ${ports.join(" and ")}${apart}`;
  return [{ kind: "set-management", summary, management }];
}
