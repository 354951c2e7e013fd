import { parse, stringify } from "yaml";
import type { StoredFile } from "./index.ts";

const administrator = "access/users/admin.yaml";

/**
 * Version 1 had one user, `admin`, who could do everything. Version 2 has roles: a user without any can do nothing, neither
 * over the API nor in the shell, and a configuration without an administrator is refused.
 */
export function giveAdministratorRole(files: readonly StoredFile[]): StoredFile[] {
  return files.map((file) => {
    if (file.path !== administrator) return file;
    const user: Record<string, unknown> = parse(file.text) ?? {};
    // Who has the field was made by a system that knew roles: none of them means none.
    if (Object.hasOwn(user, "roles")) return file;
    return { ...file, text: stringify({ ...user, roles: ["admin"] }, { lineWidth: 0 }) };
  });
}
