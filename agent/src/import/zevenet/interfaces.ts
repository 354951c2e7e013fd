import ipaddr from "ipaddr.js";
import { addressFamily, canonicalAddress, isAddress, splitPrefixed } from "../../configuration/fields.ts";
import { type NetworkInterface, networkInterface } from "../../network/schema.ts";
import { type Draft, makeName, report, reportTaken } from "./draft.ts";
import { type InterfaceFile, parseInterfaceFile, splitInterfaceFileName } from "./interface-file.ts";
import { type BondSection, type Place, placeBond, placeVlan, readBondSections } from "./made-links.ts";
import { readText } from "./source.ts";

/** `if_*_conf`: cards, bonds and VLANs become interfaces, virtual interfaces become virtual addresses. */

/** The product has one default gateway for each family, in global.conf; those of the interfaces are for their own tables. */
export type DefaultGateways = Partial<Record<"ipv4" | "ipv6", { gateway: string; interface: string }>>;

export function readInterfaces(draft: Draft, gateways: DefaultGateways): void {
  const files = [...draft.source.configuration.keys()].sort().flatMap((path) => {
    if (!splitInterfaceFileName(path)) return [];
    const file = parseInterfaceFile(path, readText(draft.source.configuration, path) ?? "");
    return file ? [{ path, file }] : [];
  });
  const bonds = readBondSections(draft);
  for (const name of bonds.keys())
    if (!files.some(({ file }) => file.name === name)) files.push({ path: "bonding.conf", file: bareFile(name) });
  if (bonds.size > 0) draft.seen.add("bonding.conf");
  const sole = files.filter(({ file }) => file.virtual === undefined && file.addresses.some((each) => each.gateway));
  const only = sole.length === 1 ? sole[0]?.file.name : undefined;
  const links = files.filter(({ file }) => file.virtual === undefined);
  // What stands on another comes after it.
  const rank = ({ file }: { file: InterfaceFile }) => ["interface", "bond", "VLAN"].indexOf(kindOf(file, bonds));
  for (const { path, file } of [...links].sort((one, other) => rank(one) - rank(other)))
    readLink(draft, path, file, { gateways, only, bonds });
  for (const { path, file } of files) if (file.virtual !== undefined) readVirtual(draft, path, file, links);
}

function bareFile(name: string): InterfaceFile {
  const nothing = { vlan: undefined, virtual: undefined, dhcp: false, addresses: [], damage: [] };
  return { name, device: name, enabled: true, ...nothing };
}

function kindOf(
  { device, vlan }: InterfaceFile,
  bonds: ReadonlyMap<string, BondSection>,
): "VLAN" | "bond" | "interface" {
  if (vlan !== undefined) return "VLAN";
  return bonds.has(device) || device.startsWith("bond") ? "bond" : "interface";
}

type Around = {
  gateways: DefaultGateways;
  /** The interface that has the only gateway. */
  only: string | undefined;
  bonds: ReadonlyMap<string, BondSection>;
};

function readLink(draft: Draft, path: string, file: InterfaceFile, around: Around): void {
  const { options, candidate, places, lost } = draft;
  const kind = kindOf(file, around.bonds);
  const item = { kind, name: file.name, file: path, content: { addresses: file.addresses, dhcp: file.dhcp } };
  const lose = (reason: string) => {
    for (const { address } of file.addresses) lost.set(canonicalAddress(address), file.name);
    report(draft, { ...item, result: "not-supported", notes: [reason, ...file.damage] });
  };
  const bond = [...around.bonds].find(([, { members }]) => members.includes(file.name))?.[0];
  const place: Place =
    bond !== undefined && kind === "interface"
      ? { reason: `it is a member of ${bond}, and a member has no settings of its own here` }
      : findPlace(draft, kind, file, around.bonds);
  if ("reason" in place) {
    lose(place.reason);
    return;
  }
  places.set(file.name, place.name);
  const notes = [...file.damage];
  if (place.name !== file.name) notes.push(`${file.name} is ${place.name} here`);
  if (kind !== "interface" && !place.made)
    notes.push(
      `it was a ${kind}: ${place.name} takes its place, without ${kind === "bond" ? "its members" : "its tag"}`,
    );
  const before = candidate.interfaces[place.name];
  if (options.interfaces === "keep") {
    notes.push("its addresses, gateway and state are those of this box, as asked");
    for (const { address } of file.addresses) lost.set(canonicalAddress(address), file.name);
    candidate.interfaces[place.name] = before ?? { ...networkInterface.parse({}), ...place.made };
  } else
    candidate.interfaces[place.name] = {
      ...makeInterface(file, before, around.gateways, notes, around.only),
      ...place.made,
    };
  reportTaken(draft, { ...item, target: `interfaces.${place.name}`, notes });
}

function findPlace(
  draft: Draft,
  kind: "VLAN" | "bond" | "interface",
  file: InterfaceFile,
  bonds: ReadonlyMap<string, BondSection>,
): Place {
  const { options, places } = draft;
  const { name } = file;
  const mapped = options.map?.get(name);
  const links = options.links;
  const choice = links ? ` (one of ${links.join(", ")})` : "";
  const found: Place =
    mapped !== undefined || kind === "interface"
      ? { name: mapped ?? name }
      : kind === "bond"
        ? placeBond(draft, name, bonds.get(name))
        : placeVlan(draft, file);
  if ("reason" in found) return found;
  if (mapped === undefined && !found.made && links && !links.includes(name))
    return { reason: `this box has no ${name}: map it to the interface that takes its place${choice}` };
  const other = [...places].find(([from, taken]) => taken === found.name && from !== name)?.[0];
  if (other !== undefined)
    return { reason: `${found.name} takes the place of ${other} already: map ${name} to another one${choice}` };
  return found;
}

function makeInterface(
  file: InterfaceFile,
  before: NetworkInterface | undefined,
  gateways: DefaultGateways,
  notes: string[],
  only: string | undefined,
): NetworkInterface {
  const make = (family: "ipv4" | "ipv6") => {
    const all = file.addresses.filter(({ address }) => addressFamily(address) === family);
    const addresses = all.flatMap(({ address, mask }) => withLength(address, mask, notes) ?? []);
    if (addresses.length === 0) return { method: "none" as const, addresses: [] };
    const gateway = findGateway(file, family, addresses, gateways, notes, only);
    return { method: "static" as const, addresses, ...gateway };
  };
  const ipv6 = make("ipv6");
  const ipv4 = file.dhcp ? { method: "dhcp" as const, addresses: [] } : make("ipv4");
  if (file.dhcp && file.addresses.length > 0) notes.push("the address that DHCP had given is not kept");
  return { ...(before ?? networkInterface.parse({})), enabled: file.enabled, ipv4, ipv6 };
}

/** `192.0.2.5` and `255.255.255.0`, `24` or nothing; undefined, with a note, when there is no making sense of it. */
function withLength(address: string, mask: string, notes: string[]): string | undefined {
  const length = lengthOf(address, mask);
  if (length !== undefined) return `${canonicalAddress(address)}/${length}`;
  notes.push(`${address} is not taken: ${JSON.stringify(mask)} is no netmask`);
  return undefined;
}

function lengthOf(address: string, mask: string): number | undefined {
  const most = addressFamily(address) === "ipv4" ? 32 : 128;
  if (/^\d{1,3}$/.test(mask) && Number(mask) <= most) return Number(mask);
  if (!isAddress(mask) || addressFamily(mask) !== addressFamily(address)) return undefined;
  return ipaddr.parse(mask).prefixLengthFromSubnetMask() ?? undefined;
}

function findGateway(
  { name, addresses: given }: InterfaceFile,
  family: "ipv4" | "ipv6",
  addresses: readonly string[],
  gateways: DefaultGateways,
  notes: string[],
  only: string | undefined,
): Pick<NetworkInterface["ipv4"], "gateway" | "defaultRoute"> {
  const own = given.find((each) => each.gateway !== "" && addressFamily(each.address) === family)?.gateway;
  const chosen = gateways[family];
  const isDefault = chosen ? chosen.interface === name : only === name;
  const gateway = isDefault ? (chosen?.gateway ?? own) : own;
  if (gateway === undefined) return {};
  const refuse = (reason: string) => {
    notes.push(`the gateway ${JSON.stringify(gateway)} is not taken: ${reason}`);
    return {};
  };
  if (!isAddress(gateway) || addressFamily(gateway) !== family) return refuse("it is no address of the same family");
  const canonical = canonicalAddress(gateway);
  if (!addresses.some((each) => contains(each, canonical))) return refuse("it is in no network of this interface");
  // That of the interface's own table: it serves answers, as there.
  if (!isDefault) return { gateway: canonical, defaultRoute: false };
  if (!chosen) notes.push(`global.conf names no default gateway; ${gateway} is the only one, so it is taken as that`);
  return { gateway: canonical };
}

function contains(prefixed: string, address: string): boolean {
  const { address: network, length } = splitPrefixed(prefixed);
  const parsed = ipaddr.parse(address);
  if (parsed.kind() === "ipv6" && parsed.range() === "linkLocal") return true;
  return parsed.match(ipaddr.parse(network), length);
}

function readVirtual(draft: Draft, path: string, file: InterfaceFile, links: { file: InterfaceFile }[]): void {
  const { candidate, places, lost } = draft;
  const parentName = file.vlan === undefined ? file.device : `${file.device}.${file.vlan}`;
  const [first, ...others] = file.addresses;
  const content = { interface: parentName, addresses: file.addresses };
  const item = { kind: "virtual interface", name: file.name, file: path, content };
  const refuse = (...notes: string[]) =>
    report(draft, { ...item, result: "not-supported", notes: [...notes, ...file.damage] });
  if (!first) {
    refuse("it has no address");
    return;
  }
  const place = places.get(parentName) ?? draft.options.map?.get(parentName);
  if (place === undefined) {
    for (const { address } of file.addresses) lost.set(canonicalAddress(address), file.name);
    refuse(`it stands on ${parentName}, which has no place here: map ${parentName} to an interface to have it there`);
    return;
  }
  const notes = [...file.damage];
  // Since 5.10 a virtual interface has the netmask of the interface below it, whatever its own file says.
  const parent = links.find((each) => each.file.name === parentName)?.file;
  const family = addressFamily(first.address);
  const mask = first.mask || parent?.addresses.find((each) => addressFamily(each.address) === family)?.mask || "";
  const address = withLength(first.address, mask, notes);
  if (address === undefined) {
    refuse(...notes);
    return;
  }
  for (const each of others)
    notes.push(`the second address ${each.address} is not taken: give it a virtual address of its own`);
  if (place !== parentName) notes.push(`${parentName} is ${place} here`);
  const name = nameVirtual(draft, file, place, address, notes);
  const description = candidate.virtualAddresses[name]?.description ?? "";
  candidate.virtualAddresses[name] = { description, enabled: file.enabled, interface: place, address };
  reportTaken(draft, { ...item, target: `virtualAddresses.${name}`, notes });
}

/** Its own name; that of the virtual address that has this address already; or with the interface, when two have the same. */
function nameVirtual(
  { candidate, report: items }: Draft,
  file: InterfaceFile,
  place: string,
  address: string,
  notes: string[],
): string {
  const here = splitPrefixed(address).address;
  const existing = Object.entries(candidate.virtualAddresses).find(
    ([, each]) => splitPrefixed(each.address).address === here,
  )?.[0];
  if (existing !== undefined) {
    if (existing !== file.virtual) notes.push(`the box has ${here} already, as ${existing}`);
    return existing;
  }
  const imported = new Set(
    items.flatMap(({ target }) => (target?.startsWith("virtualAddresses.") ? target.slice(17) : [])),
  );
  const wanted = makeName(file.virtual ?? "", new Set());
  if (wanted !== file.virtual) notes.push(`names here are of a-z, 0-9, - and _: ${file.virtual} is ${wanted}`);
  if (!imported.has(wanted)) {
    if (Object.hasOwn(candidate.virtualAddresses, wanted))
      notes.push(`it replaces the virtual address ${wanted} of this box`);
    return wanted;
  }
  const name = makeName(`${wanted}-${place}`, new Set(Object.keys(candidate.virtualAddresses)));
  notes.push(`another virtual interface is called ${wanted} too: this one is ${name}`);
  return name;
}
