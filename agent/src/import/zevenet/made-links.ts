import { bondModes } from "../../adapters/link-info.ts";
import { type NetworkInterface, networkInterface } from "../../network/schema.ts";
import type { Draft } from "./draft.ts";
import { parseTiny } from "./formats.ts";
import type { InterfaceFile } from "./interface-file.ts";
import { readText } from "./source.ts";

/** Bonds (`bonding.conf`) and VLANs (`if_eth0.100_conf`): links that this box makes, of cards that have a place here. */

export type MadeLink = Pick<NetworkInterface, "kind" | "bond" | "vlan">;
export type Place = { name: string; made?: MadeLink } | { reason: string };

/** A section of `bonding.conf`: the mode is its number in the kernel, the members have blanks between them. */
export type BondSection = { mode: string; members: string[] };

export function readBondSections({ source }: Draft): Map<string, BondSection> {
  const sections = [...parseTiny(readText(source.configuration, "bonding.conf") ?? "")].filter(
    ([name]) => name !== "_",
  );
  return new Map(
    sections.map(([name, fields]) => [
      name,
      {
        mode: fields.get("mode") ?? "",
        members: (fields.get("slaves") ?? "").split(/\s+/).filter((each) => each !== ""),
      },
    ]),
  );
}

/** The card of this box that takes the place of one of the backup; undefined when there is none. */
export function findCard({ options, places }: Draft, name: string): string | undefined {
  const place = places.get(name) ?? options.map?.get(name) ?? name;
  return options.links && !options.links.includes(place) && !places.has(name) ? undefined : place;
}

export function placeBond(draft: Draft, name: string, section: BondSection | undefined): Place {
  const refuse = (reason: string) => ({ reason: `${reason}: map ${name} to an interface to have its addresses there` });
  if (!section || section.members.length === 0) return refuse("the backup does not say which cards it is made of");
  const missing = section.members.find((each) => findCard(draft, each) === undefined);
  if (missing !== undefined)
    return { reason: `this box has no ${missing}, which is a member: map it to the card that takes its place` };
  const mode = bondModes[Number.parseInt(section.mode, 10)] ?? bondModes.find((each) => each === section.mode);
  if (mode === undefined) return refuse(`${JSON.stringify(section.mode)} is no mode of a bond`);
  const members = section.members.map((each) => findCard(draft, each) ?? each);
  for (const [at, each] of section.members.entries()) draft.places.set(each, members[at] ?? each);
  return { name, made: make({ kind: "bond", bond: { mode: mode, members } }) };
}

export function placeVlan(draft: Draft, { name, device, vlan }: InterfaceFile): Place {
  const parent = draft.places.get(device) ?? (/^bond/.test(device) ? undefined : findCard(draft, device));
  if (parent === undefined)
    return { reason: `it stands on ${device}, which has no place here: map ${device} or ${name}` };
  const id = Number(vlan);
  if (id < 1 || id > 4094) return { reason: `${vlan} is no number of a VLAN` };
  const wanted = `${parent}.${id}`;
  return {
    // Names of interfaces have at most 15 characters.
    name: wanted.length <= 15 ? wanted : `vlan${id}`,
    made: make({ kind: "vlan", vlan: { parent, id } }),
  };
}

function make(input: { kind: "bond" | "vlan"; bond?: object; vlan?: object }): MadeLink {
  const { kind, bond, vlan } = networkInterface.parse(input);
  return { kind, ...(bond ? { bond } : {}), ...(vlan ? { vlan } : {}) };
}
