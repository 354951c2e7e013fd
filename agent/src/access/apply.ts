import * as fs from "node:fs/promises";
import { makeDirectory, readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Executors } from "../commit/subsystem.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { type AccountFiles, homeOf, readAccounts, writeAccounts } from "./accounts.ts";
import type { AccessStep } from "./plan.ts";
import { type AccessArtefacts, administrator } from "./render.ts";

/** In the overlay of /etc, so written anew at each boot. */
const paths = { passwd: "/etc/passwd", shadow: "/etc/shadow", group: "/etc/group" };
const keysPath = (name: string) => `/etc/ssh/authorized_keys.d/${name}`;

async function readFiles(machine: Machine): Promise<AccountFiles> {
  const read = async (path: string) => (await readTextIfExists(machine.path(path))) ?? "";
  return { passwd: await read(paths.passwd), shadow: await read(paths.shadow), group: await read(paths.group) };
}

export async function observeAccess(machine: Machine): Promise<AccessArtefacts> {
  const accounts = [];
  for (const account of readAccounts(await readFiles(machine)))
    accounts.push({ ...account, authorizedKeys: (await readTextIfExists(machine.path(keysPath(account.name)))) ?? "" });
  return { accounts };
}

export const accessExecutors: Executors<AccessStep> = {
  "write-accounts": async ({ accounts }, machine) => {
    const before = await readFiles(machine);
    if (!before.passwd.split("\n").some((line) => line.startsWith(`${administrator}:`)))
      throw new SteelyardError("internal", `${paths.passwd} has no account ${administrator}`);
    for (const { name, uid } of accounts) await makeHome(machine, name, uid);
    const after = writeAccounts(before, accounts, Math.floor(machine.now().getTime() / 86_400_000));
    // Secrets first: an account without a line there lets nobody in, one without a password field might.
    for (const file of ["shadow", "passwd", "group"] as const) {
      if (after[file] !== before[file]) await replaceKeepingOwner(machine.path(paths[file]), after[file]);
    }
  },
  "write-keys": async ({ name, authorizedKeys }, machine) => {
    const path = machine.path(keysPath(name));
    if (authorizedKeys === "") await fs.rm(path, { force: true });
    // Readable by all: sshd reads it with the rights of the user. The keys are public.
    else await writeAtomically(path, authorizedKeys, 0o644);
  },
  "end-logins": async ({ name, uid }, machine) => {
    // No login may be open, and a box for development has no logind.
    await machine
      .run(["loginctl", "kill-user", String(uid), "--signal=KILL"], { accept: [0, 1] })
      .catch((error) => machine.log.warn(`access: what ${name} runs could not be ended: ${messageOf(error)}`));
    if (name !== administrator) await fs.rm(machine.path(homeOf(name)), { recursive: true, force: true });
  },
};

/** Of accounts made here, on a tmpfs. The directory above is root's, so nobody can put a link in the way. */
async function makeHome(machine: Machine, name: string, uid: number): Promise<void> {
  if (name === administrator) return;
  const path = machine.path(homeOf(name));
  await makeDirectory(machine.path("/run/steelyard/home"), 0o755);
  await fs.mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  if (process.getuid?.() === 0) await fs.lchown(path, uid, uid);
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
