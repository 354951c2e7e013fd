import type { Configuration } from "../../configuration/schema.ts";
import type { AuditExport } from "./export/exporter.ts";

/** What the health of the box says of its audit log. */
export function describeAuditProblem(unwritten: number): string[] {
  if (unwritten === 0) return [];
  return [`the audit log cannot be written: ${unwritten} records are in the journal alone`];
}

/** Servers that do not get the log, or did not get all of it. */
export function describeExportWarnings(
  { status }: Pick<AuditExport, "status">,
  { auditTargets }: Pick<Configuration, "auditTargets">,
): string[] {
  return Object.keys(auditTargets).flatMap((name) => {
    const { error = "", lost = 0, queued = 0 } = status(name) ?? {};
    return [
      ...(error === "" ? [] : [`the audit target ${name} is ${queued} records behind: ${error}`]),
      ...(lost === 0 ? [] : [`the audit target ${name} never got ${lost} records`]),
    ];
  });
}
