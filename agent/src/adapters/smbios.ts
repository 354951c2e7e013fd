import * as fs from "node:fs/promises";
import { isMissing } from "./files.ts";

/** The OEM strings (structure type 11) of an SMBIOS table: DSP0134 sections 6.1 and 7.12. */
export function parseOemStrings(table: Buffer): string[] {
  const strings: string[] = [];
  let at = 0;
  while (at + 4 <= table.length) {
    const type = table[at];
    const first = at + Math.max(4, table[at + 1] ?? 0);
    let end = first;
    while (end + 1 < table.length && (table[end] !== 0 || table[end + 1] !== 0)) end += 1;
    if (type === 11) strings.push(...table.toString("utf8", first, end).split("\0"));
    if (type === 127) break;
    at = end + 2;
  }
  return strings.filter((each) => each !== "");
}

/** What whoever made the machine wrote into it; nothing on a machine without SMBIOS. `path` is that of the table in sysfs. */
export async function readOemStrings(path: string): Promise<string[]> {
  try {
    return parseOemStrings(await fs.readFile(path));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
