import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";

/**
 * Findings about where the box may be managed. None is an error: whoever has the console may mean it. That no interface is named at all
 * is told by the system, whose field it is.
 */
export function verifyFirewall({ system, interfaces }: Configuration): Finding[] {
  const path = "system.management.interfaces";
  return system.management.interfaces.flatMap((name, at): Finding[] =>
    interfaces[name]
      ? []
      : [{ severity: "warning", path: `${path}.${at}`, message: `the interface ${name} is not configured` }],
  );
}
