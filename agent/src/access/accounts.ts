import { isKept, type LinuxAccount } from "./render.ts";

/** passwd(5), shadow(5) and group(5), between their texts and the accounts that are kept in them. Pure; foreign lines stay. */

export type AccountFiles = { passwd: string; shadow: string; group: string };

/** sshd lets members of this group in; those of the other become root without a password, and read the journal. */
const shellGroup = "steelyard";
const administratorGroups = ["steelyard-admin", "systemd-journal"];

export const homeOf = (name: string) => `/run/steelyard/home/${name}`;

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");
const fieldsOf = (line: string) => line.split(":");

export function readAccounts({ passwd, shadow, group }: AccountFiles): Omit<LinuxAccount, "authorizedKeys">[] {
  const secrets = new Map(linesOf(shadow).map((line) => [fieldsOf(line)[0], fieldsOf(line)]));
  const members = (name: string) =>
    linesOf(group)
      .find((line) => line.startsWith(`${name}:`))
      ?.split(":")[3]
      ?.split(",") ?? [];
  const [shell, ...administrators] = [shellGroup, ...administratorGroups].map(members);
  return linesOf(passwd)
    .map(fieldsOf)
    .filter(([name = "", , uid]) => isKept(name, Number(uid)))
    .map(([name = "", , uid]) => ({
      name,
      uid: Number(uid),
      password: secrets.get(name)?.[1] ?? "",
      expiry: secrets.get(name)?.[7] ?? "",
      shell: shell?.includes(name) ?? false,
      administrator: administrators.every((each) => each.includes(name)),
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The files with exactly these accounts kept in them. `today` is in days since 1970. */
export function writeAccounts(files: AccountFiles, accounts: readonly LinuxAccount[], today: number): AccountFiles {
  const kept = new Set(
    linesOf(files.passwd)
      .map(fieldsOf)
      .filter(([name = "", , uid]) => isKept(name, Number(uid)))
      .map(([name = ""]) => name),
  );
  const wanted = new Map(accounts.map((account) => [account.name, account]));
  /** Lines of accounts that stay are changed in place, those of others go, and new ones come last. */
  const rewrite = (text: string, make: (account: LinuxAccount, before: string | undefined) => string) => {
    const seen = new Set<string>();
    const lines = linesOf(text).flatMap((line) => {
      const [name = ""] = fieldsOf(line);
      const account = wanted.get(name);
      if (account) {
        seen.add(name);
        return [make(account, line)];
      }
      return kept.has(name) ? [] : [line];
    });
    const added = accounts.filter(({ name }) => !seen.has(name)).map((account) => make(account, undefined));
    return `${[...lines, ...added].join("\n")}\n`;
  };
  const groups = rewrite(files.group, ({ name, uid }, before) => before ?? `${name}:x:${uid}:`);
  return {
    passwd: rewrite(
      files.passwd,
      ({ name, uid }, before) => before ?? `${name}:x:${uid}:${uid}::${homeOf(name)}:/bin/bash`,
    ),
    shadow: rewrite(files.shadow, ({ name, password, expiry }, before) => {
      const fields = before === undefined ? [name, "", String(today), "0", "99999", "7", "", "", ""] : fieldsOf(before);
      fields[1] = password;
      fields[7] = expiry;
      return fields.join(":");
    }),
    group: `${linesOf(groups)
      .map((line) => withMembers(line, kept, accounts))
      .join("\n")}\n`,
  };
}

/** The line of a group with those members that shall be; members of the image's own stay. */
function withMembers(line: string, kept: ReadonlySet<string>, accounts: readonly LinuxAccount[]): string {
  const [name = "", secret, gid, members = ""] = fieldsOf(line);
  const shall =
    name === shellGroup
      ? accounts.filter(({ shell }) => shell)
      : administratorGroups.includes(name)
        ? accounts.filter(({ administrator }) => administrator)
        : undefined;
  const old = members.split(",").filter((member) => member !== "");
  // The group sudo asks for a password that an administrator by key has not, so nobody is in it.
  if (!shall && name !== "sudo") return line;
  const foreign = old.filter((member) => !kept.has(member) && !accounts.some((account) => account.name === member));
  return [name, secret, gid, [...foreign, ...(shall ?? []).map((account) => account.name)].join(",")].join(":");
}
