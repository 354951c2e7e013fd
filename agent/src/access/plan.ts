import type { StepBase } from "../commit/subsystem.ts";
import type { AccessArtefacts } from "./render.ts";

/** The summaries go to clients and logs; the hash does not. */
export type PasswordStep = StepBase & { kind: "set-password"; password: string; expiry: string };
export type KeysStep = StepBase & { kind: "write-keys"; authorizedKeys: string };

export type AccessStep = PasswordStep | KeysStep;

export function planAccess(now: AccessArtefacts, wanted: AccessArtefacts): AccessStep[] {
  const steps: AccessStep[] = [];
  if (now.password !== wanted.password || now.expiry !== wanted.expiry) {
    const summary = wanted.password.startsWith("$")
      ? "set the administrator's password"
      : "lock the administrator's password";
    steps.push({ kind: "set-password", summary, password: wanted.password, expiry: wanted.expiry });
  }
  if (now.authorizedKeys !== wanted.authorizedKeys)
    steps.push({
      kind: "write-keys",
      summary: "write the administrator's SSH keys",
      authorizedKeys: wanted.authorizedKeys,
    });
  return steps;
}
