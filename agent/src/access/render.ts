import { createHash } from "node:crypto";
import type { Configuration } from "../configuration/schema.ts";
import { isGranted } from "./permissions.ts";
import { findUser, grantsOfUser, isAdministrator } from "./rights.ts";

/** The login that the image has, with the password locked; all others are made here. */
export const administrator = "admin";
const administratorNumber = 1000;
/** Numbers of users made here. login.defs gives people 1000 to 59999; the first are left to the image. */
const firstNumber = 10_000;
const numbers = 50_000;

/** A login of the box. */
export type LinuxAccount = {
  name: string;
  /** The same on every boot, for it follows from the name. */
  uid: number;
  /** The password field of shadow(5): a crypt(3) hash, or `!` for no login by password. */
  password: string;
  /** The day the account ends, in days since 1970, as in shadow(5); empty for never. */
  expiry: string;
  /** The file of authorized_keys that sshd reads for the account; empty without keys. */
  authorizedKeys: string;
  /** May log in by SSH. */
  shell: boolean;
  /** May become root, and read the journal. */
  administrator: boolean;
};

/** By name. */
export type AccessArtefacts = { accounts: LinuxAccount[] };

type Access = Pick<Configuration, "users" | "groups" | "roles">;

/** The users with a login: enabled, with the permission shell:use, and with a key or a password to log in by. */
export function listShellUsers(configuration: Access): { name: string; uid: number }[] {
  const names = Object.entries(configuration.users)
    .filter(([, user]) => !user.disabled && (user.sshKeys.length > 0 || user.passwordHash !== undefined))
    .filter(([, user]) => isGranted(grantsOfUser(configuration, user), "shell:use"))
    .map(([name]) => name)
    .sort();
  const taken = new Set<number>();
  return names.map((name) => {
    let uid = name === administrator ? administratorNumber : numberOf(name);
    while (taken.has(uid)) uid = firstNumber + ((uid + 1 - firstNumber) % numbers);
    taken.add(uid);
    return { name, uid };
  });
}

function numberOf(name: string): number {
  return firstNumber + (createHash("sha256").update(name).digest().readUInt32BE() % numbers);
}

/** What the box's own login knows of the users. The image's account is always there; nobody's, it lets nobody in. */
export function renderAccess(configuration: Access): AccessArtefacts {
  const accounts = listShellUsers(configuration).flatMap(({ name, uid }): LinuxAccount[] => {
    const user = findUser(configuration, name);
    if (!user) return [];
    return [
      {
        name,
        uid,
        password: user.passwordHash ?? "!",
        expiry: user.expires === undefined ? "" : String(Date.parse(user.expires) / 86_400_000),
        authorizedKeys: user.sshKeys.map((key) => `${key}\n`).join(""),
        shell: true,
        administrator: isAdministrator(configuration, user),
      },
    ];
  });
  if (accounts.some(({ name }) => name === administrator)) return { accounts };
  return { accounts: [...accounts, closedAdministrator].sort((one, other) => (one.name < other.name ? -1 : 1)) };
}

const closedAdministrator: LinuxAccount = {
  name: administrator,
  uid: administratorNumber,
  password: "!",
  expiry: "1",
  authorizedKeys: "",
  shell: false,
  administrator: false,
};

/** True for a login that this subsystem keeps; all others are the image's own. */
export function isKept(name: string, uid: number): boolean {
  return name === administrator || (uid >= firstNumber && uid < firstNumber + numbers);
}
