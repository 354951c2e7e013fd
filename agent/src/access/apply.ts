import * as fs from "node:fs/promises";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Executors } from "../commit/subsystem.ts";
import { SteelyardError } from "../errors.ts";
import type { AccessStep } from "./plan.ts";
import { type AccessArtefacts, administrator } from "./render.ts";

/** In the overlay of /etc, so written anew at each boot. */
const shadowPath = "/etc/shadow";
/** The eighth field of shadow(5), in days since 1970; empty for never. */
const expiryField = 7;
const keysPath = `/etc/ssh/authorized_keys.d/${administrator}`;

export async function observeAccess(machine: Machine): Promise<AccessArtefacts> {
  const shadow = (await readTextIfExists(machine.path(shadowPath))) ?? "";
  const line = shadow.split("\n").find(isAdministrator);
  return {
    password: line?.split(":")[1] ?? "",
    expiry: line?.split(":")[expiryField] ?? "",
    authorizedKeys: (await readTextIfExists(machine.path(keysPath))) ?? "",
  };
}

export const accessExecutors: Executors<AccessStep> = {
  "set-password": async ({ password, expiry }, machine) => {
    const path = machine.path(shadowPath);
    const shadow = await fs.readFile(path, "utf8");
    const lines = shadow.split("\n");
    const at = lines.findIndex(isAdministrator);
    if (at < 0) throw new SteelyardError("internal", `${shadowPath} has no account ${administrator}`);
    const fields = (lines[at] ?? "").split(":");
    fields[1] = password;
    fields[expiryField] = expiry;
    lines[at] = fields.join(":");
    await replaceKeepingOwner(path, lines.join("\n"));
  },
  "write-keys": async ({ authorizedKeys }, machine) => {
    const path = machine.path(keysPath);
    if (authorizedKeys === "") await fs.rm(path, { force: true });
    // Readable by all: sshd reads it with the rights of the user. The keys are public.
    else await writeAtomically(path, authorizedKeys, 0o644);
  },
};

function isAdministrator(line: string): boolean {
  return line.startsWith(`${administrator}:`);
}

/** As writeAtomically, with mode and owner of what it replaces (0640 root:shadow) from the first moment. */
async function replaceKeepingOwner(path: string, content: string): Promise<void> {
  const { mode, uid, gid } = await fs.stat(path);
  const beside = `${path}.new`;
  await fs.rm(beside, { force: true });
  const handle = await fs.open(beside, "wx", 0o600);
  try {
    await handle.writeFile(content);
    await handle.chown(uid, gid);
    await handle.chmod(mode & 0o777);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(beside, path);
}
