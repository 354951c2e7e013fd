/** The two small formats of the product's files, read as far as they are well-formed. */

/** Sections of a file as Perl's Config::Tiny writes it (INI). Keys before the first section are in `_`, as there. */
export function parseTiny(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section = "_";
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const header = /^\s*\[\s*(.+?)\s*\]\s*$/.exec(line)?.[1];
    if (header !== undefined) {
      section = header;
      if (!sections.has(section)) sections.set(section, new Map());
      continue;
    }
    const [, key, value] = /^\s*([^=]+?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    const fields = sections.get(section) ?? new Map<string, string>();
    sections.set(section, fields.set(key, value));
  }
  return sections;
}

/** The assignments of `global.conf`, which is Perl: `$ntp="pool.ntp.org";#update`, and by hand `$ntp = 'pool.ntp.org';`. */
export function parseGlobalSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [, key, double, single] of text.matchAll(/^\s*\$(\w+)\s*=\s*(?:"([^"\n]*)"|'([^'\n]*)')\s*;/gm))
    if (key !== undefined) settings.set(key, double ?? single ?? "");
  return settings;
}
