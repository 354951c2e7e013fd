import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";
import { administrator } from "./render.ts";

/** There is one account for now, and there must be a way to use it. */
export function verifyAccess({ users }: Pick<Configuration, "users">): Finding[] {
  const strangers = Object.keys(users).filter((name) => name !== administrator);
  const findings: Finding[] = strangers.map((name) => ({
    severity: "error",
    path: `users.${name}`,
    message: `expected no other user than ${administrator}`,
  }));
  const admin = Object.hasOwn(users, administrator) ? users[administrator] : undefined;
  if (!admin || (admin.passwordHash === undefined && admin.sshKeys.length === 0))
    findings.push({
      severity: "error",
      path: `users.${administrator}`,
      message: "expected a password or an SSH key, or nobody could manage the box",
    });
  return findings;
}
