import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";

/** Findings about where the box may be managed. None is an error: whoever has the console may mean it. */
export function verifyFirewall({ system, interfaces }: Configuration): Finding[] {
  const path = "system.management.interfaces";
  if (system.management.interfaces.length === 0)
    return [
      {
        severity: "warning",
        path,
        message: "no interface is named: the API and SSH answer nowhere, only the console is left",
      },
    ];
  return system.management.interfaces.flatMap((name, at): Finding[] =>
    interfaces[name]
      ? []
      : [{ severity: "warning", path: `${path}.${at}`, message: `the interface ${name} is not configured` }],
  );
}
