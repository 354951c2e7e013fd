import { networkInterface } from "../../network/schema.ts";
import { type Draft, report, reportTaken } from "./draft.ts";
import { parseTiny } from "./formats.ts";
import { readText } from "./source.ts";

/** `alias.conf`, names for people, and `float.conf`, the address that NAT sends from: both of the Enterprise Edition. */

export function readLabels(draft: Draft): void {
  readAliases(draft);
  readFloating(draft);
}

/** A section for each kind of thing: `[interface]` with `eth0=office`, `[backend]` with an address for a name. */
function readAliases(draft: Draft): void {
  const file = "alias.conf";
  const text = readText(draft.source.configuration, file);
  if (text === undefined) return;
  draft.seen.add(file);
  for (const [section, fields] of parseTiny(text))
    for (const [name, alias] of fields) {
      const item = { kind: "alias", name: `${section} ${name}`, file, content: { alias } };
      const place = section.startsWith("interface") ? draft.places.get(name) : undefined;
      const settings = place === undefined ? undefined : draft.candidate.interfaces[place];
      const valid = networkInterface.shape.alias.safeParse(alias);
      if (place === undefined || !settings || !valid.success) {
        const what = section.startsWith("interface")
          ? `${name} has no place here`
          : "only interfaces have an alias here";
        const notes =
          place === undefined || !settings ? [what] : (valid.error?.issues ?? []).map(({ message }) => message);
        report(draft, { ...item, result: "not-supported", notes });
        continue;
      }
      draft.candidate.interfaces[place] = { ...settings, alias };
      reportTaken(draft, { ...item, target: `interfaces.${place}`, notes: [] });
    }
}

/** `eth0=eth0:vip`: farms on the interface reach their backends from that address, so that it moves with the cluster. */
function readFloating(draft: Draft): void {
  for (const file of ["float.conf", "zlb_float.conf"]) {
    const text = readText(draft.source.configuration, file);
    if (text === undefined) continue;
    draft.seen.add(file);
    for (const [name, floating] of parseTiny(text).get("_") ?? [])
      report(draft, {
        kind: "floating address",
        name,
        file,
        result: "not-supported",
        notes: [
          `${floating || "its virtual interface"} is a virtual address here, which moves with the active node; farms reach backends from the address of ${draft.places.get(name) ?? name} itself`,
        ],
        content: { floating },
      });
  }
}
