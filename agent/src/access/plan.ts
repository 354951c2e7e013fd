import type { StepBase } from "../commit/subsystem.ts";
import type { AccessArtefacts, LinuxAccount } from "./render.ts";

/** The summaries go to clients and logs; the hashes do not. */
export type AccountsStep = StepBase & { kind: "write-accounts"; accounts: readonly LinuxAccount[] };
export type KeysStep = StepBase & { kind: "write-keys"; name: string; authorizedKeys: string };
export type EndStep = StepBase & { kind: "end-logins"; name: string; uid: number };

export type AccessStep = AccountsStep | KeysStep | EndStep;

export function planAccess(now: AccessArtefacts, wanted: AccessArtefacts): AccessStep[] {
  const before = new Map(now.accounts.map((account) => [account.name, account]));
  const after = new Map(wanted.accounts.map((account) => [account.name, account]));
  const steps: AccessStep[] = [];
  const changed = [...new Set([...before.keys(), ...after.keys()])]
    .sort()
    .filter((name) => loginOf(before.get(name)) !== loginOf(after.get(name)));
  if (changed.length > 0)
    steps.push({
      kind: "write-accounts",
      summary: `write the login of ${changed.join(", ")}`,
      accounts: wanted.accounts,
    });
  for (const { name, authorizedKeys } of wanted.accounts) {
    if ((before.get(name)?.authorizedKeys ?? "") !== authorizedKeys)
      steps.push({ kind: "write-keys", summary: `write the SSH keys of ${name}`, name, authorizedKeys });
  }
  for (const { name, uid, shell } of now.accounts) {
    if (!shell || after.get(name)?.shell) continue;
    if (!after.has(name))
      steps.push({ kind: "write-keys", summary: `remove the SSH keys of ${name}`, name, authorizedKeys: "" });
    steps.push({ kind: "end-logins", summary: `end what ${name} runs`, name, uid });
  }
  return steps;
}

function loginOf(account: LinuxAccount | undefined): string {
  if (!account) return "";
  const { authorizedKeys: _keys, ...login } = account;
  return JSON.stringify(Object.entries(login).sort());
}
