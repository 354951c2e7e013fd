import type { Finding } from "../commit/subsystem.ts";
import { addressFamily, splitPrefixed } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { explainUnusable, isWithin, overlaps } from "./addresses.ts";
import type { NetworkInterface, VirtualAddress } from "./schema.ts";
import { verifyLinks } from "./verify-links.ts";
import { groupByVrf } from "./verify-vrf.ts";

const families = ["ipv4", "ipv6"] as const;
const familyNames = { ipv4: "an IPv4 address", ipv6: "an IPv6 address" };
/** Methods by which a network tells the interface its address and its gateway. */
const learning: Record<Family, readonly string[]> = { ipv4: ["dhcp"], ipv6: ["automatic", "slaac", "dhcp"] };

type Family = (typeof families)[number];
type Networks = Pick<Configuration, "interfaces" | "virtualAddresses" | "system">;

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** Everything that is wrong or odd with interfaces and virtual addresses, each with its path. */
export function verifyNetwork(configuration: Networks): Finding[] {
  const interfaces = Object.entries(configuration.interfaces);
  return [
    ...interfaces.flatMap(([name, settings]) => verifyInterface(name, settings)),
    ...verifyLinks(configuration),
    ...verifyVirtualAddresses(configuration),
    ...findDuplicates(configuration),
    // The same network, and a gateway, may be on either side of a VRF.
    ...[...groupByVrf(configuration.interfaces)].flatMap(([vrf, group]) => [
      ...findOverlaps(group),
      ...families.flatMap((family) => verifyDefaultRoutes(group, family, vrf)),
    ]),
  ];
}

function verifyInterface(name: string, settings: NetworkInterface): Finding[] {
  const path = `interfaces.${name}`;
  if (name === "lo") return [error(path, "expected a network card: lo belongs to the system")];
  return families.flatMap((family) => verifyFamily(`${path}.${family}`, family, settings[family]));
}

function verifyFamily(path: string, family: Family, settings: NetworkInterface[Family]): Finding[] {
  const { method, addresses, gateway } = settings;
  const findings: Finding[] = [];
  if (method === "static" && addresses.length === 0)
    findings.push(error(`${path}.addresses`, "expected at least one address, for the method is static"));
  if (method !== "static" && addresses.length > 0)
    findings.push(error(`${path}.addresses`, `expected no address, for the method is ${method}, not static`));
  addresses.forEach((each, at) => {
    const words = addressFamily(each) === family ? explainUnusable(each) : `expected ${familyNames[family]}`;
    if (words !== undefined) findings.push(error(`${path}.addresses.${at}`, words));
  });
  if (gateway !== undefined) findings.push(...verifyGateway(`${path}.gateway`, family, settings, gateway));
  return findings;
}

function verifyGateway(path: string, family: Family, settings: NetworkInterface[Family], gateway: string): Finding[] {
  const { method, addresses } = settings;
  if (learning[family].includes(method)) return [error(path, `expected no gateway: ${method} brings its own`)];
  if (method === "none") return [error(path, "expected no gateway, for the interface has no address of this family")];
  if (addressFamily(gateway) !== family) return [error(path, `expected ${familyNames[family]}`)];
  if (addresses.some((each) => splitPrefixed(each).address === gateway))
    return [error(path, "expected another address than the interface's own")];
  // A router is commonly reached by its link-local address in IPv6.
  const linkLocal = family === "ipv6" && isWithin(gateway, "fe80::/10");
  if (linkLocal || addresses.some((each) => isWithin(gateway, each))) return [];
  return [error(path, "expected an address within a network of this interface, or nothing can reach it")];
}

/** Empty: it can be used. One that did not change is the same object in the next configuration. */
const unusable = new WeakMap<VirtualAddress, string>();

function verifyVirtualAddresses({ interfaces, virtualAddresses }: Networks): Finding[] {
  return Object.entries(virtualAddresses).flatMap(([name, virtualAddress]) => {
    const { address, interface: parent, enabled } = virtualAddress;
    const path = `virtualAddresses.${name}`;
    const findings: Finding[] = [];
    const words = unusable.get(virtualAddress) ?? explainUnusable(address) ?? "";
    unusable.set(virtualAddress, words);
    if (words !== "") findings.push(error(`${path}.address`, words));
    const settings = Object.hasOwn(interfaces, parent) ? interfaces[parent] : undefined;
    if (!settings) findings.push(error(`${path}.interface`, `expected a configured interface${listNames(interfaces)}`));
    else if (!settings.enabled && enabled)
      findings.push(warning(`${path}.interface`, `${parent} is disabled, so the address is not up`));
    return findings;
  });
}

function listNames(interfaces: Networks["interfaces"]): string {
  const names = Object.keys(interfaces);
  return names.length === 0 ? "; there is none" : `: ${names.join(", ")}`;
}

/** One address stands in one place: the second place is the error. */
function findDuplicates({ interfaces, virtualAddresses }: Networks): Finding[] {
  const places = [
    ...Object.entries(interfaces).flatMap(([name, settings]) =>
      families.flatMap((family) =>
        settings[family].addresses.map((each, at) => ({
          address: splitPrefixed(each).address,
          path: `interfaces.${name}.${family}.addresses.${at}`,
        })),
      ),
    ),
    ...Object.entries(virtualAddresses).map(([name, { address }]) => ({
      address: splitPrefixed(address).address,
      path: `virtualAddresses.${name}.address`,
    })),
  ];
  const first = new Map<string, string>();
  return places.flatMap(({ address, path }) => {
    const before = first.get(address);
    if (before !== undefined) return error(path, `expected an address of its own; ${address} is that of ${before}`);
    first.set(address, path);
    return [];
  });
}

/** Two interfaces in one network: the kernel answers and sends through either, which is rarely meant. */
function findOverlaps(interfaces: [string, NetworkInterface][]): Finding[] {
  const networks = interfaces.flatMap(([name, settings]) =>
    families.flatMap((family) =>
      settings[family].addresses.map((address, at) => ({
        name,
        address,
        path: `interfaces.${name}.${family}.addresses.${at}`,
      })),
    ),
  );
  return networks.flatMap(({ name, address, path }, at) => {
    const other = networks.slice(0, at).find((each) => each.name !== name && overlaps(each.address, address));
    return other ? warning(path, `the network of ${address} is also that of ${other.name} (${other.address})`) : [];
  });
}

/**
 * One default gateway per family, of the box or of a VRF; one that DHCP may add beside it is only odd, for it has the lower
 * priority. In a VRF every gateway is meant for it: `defaultRoute` is about the box.
 */
function verifyDefaultRoutes(interfaces: [string, NetworkInterface][], family: Family, vrf?: string): Finding[] {
  const counts = (settings: NetworkInterface) => vrf !== undefined || settings[family].defaultRoute !== false;
  const active = interfaces.filter(([, settings]) => settings.enabled && counts(settings));
  const given = active.filter(([, settings]) => settings[family].gateway !== undefined);
  const learned = active.filter(([, settings]) => learning[family].includes(settings[family].method));
  const [first] = given;
  const second = given.slice(1).map(([name, settings]) => {
    const path = `interfaces.${name}.${family}.gateway`;
    const both = `${first?.[0]} has ${first?.[1][family].gateway}, this one ${settings[family].gateway}`;
    if (vrf !== undefined) return error(path, `expected one gateway in the VRF ${vrf}; ${both}`);
    const words = "set defaultRoute to false for one that only serves answers";
    return error(path, `expected one default gateway; ${both}: ${words}`);
  });
  const rivals = [...given.slice(0, 1), ...learned].map(([name]) => name);
  const [winner] = rivals;
  const odd = learned
    .filter(([name]) => name !== winner)
    .map(([name]) =>
      warning(
        `interfaces.${name}.${family}.method`,
        `${name} may learn a default gateway beside that of ${winner}; the one of lower metric is used`,
      ),
    );
  return [...second, ...odd];
}
