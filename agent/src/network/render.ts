import { addressFamily } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import type { NetworkInterface, VirtualAddress } from "./schema.ts";

/** What one interface is given, or has: the observed artefact is read from the file in /run and from the kernel. */
export type InterfaceArtefact = {
  /** The systemd.network(5) file. */
  file: string;
  /** Addresses with prefix length that do not come from a lease. */
  addresses: string[];
  /** Default gateways. */
  gateways: string[];
  /** Administratively up. */
  up: boolean;
  /** Whether the card is there and sees a link; undefined in a wanted artefact, which cannot say. */
  seen?: { present: boolean; carrier: boolean };
};

export type NetworkArtefacts = Record<string, InterfaceArtefact>;

/** One file per configured interface; an interface that is not configured has none and is left alone by networkd. */
export function renderNetwork({
  interfaces,
  virtualAddresses,
}: Pick<Configuration, "interfaces" | "virtualAddresses">): NetworkArtefacts {
  return Object.fromEntries(
    Object.entries(interfaces).map(([name, settings]) => {
      // By name, so that the file does not change with the order in which the configuration was read.
      const own = Object.entries(virtualAddresses)
        .filter(([, each]) => each.enabled && each.interface === name)
        .sort(([one], [other]) => (one < other ? -1 : 1));
      return [name, settings.enabled ? renderUp(name, settings, own) : renderDown(name, settings)];
    }),
  );
}

const headline = "# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).";

function renderDown(name: string, settings: NetworkInterface): InterfaceArtefact {
  const file = section([
    headline,
    ...match(name),
    ...linkSection(settings, "always-down"),
    "[Network]",
    "DHCP=no",
    "IPv6AcceptRA=no",
    "LinkLocalAddressing=no",
  ]);
  return { file, addresses: [], gateways: [], up: false };
}

function renderUp(name: string, settings: NetworkInterface, own: [string, VirtualAddress][]): InterfaceArtefact {
  const { ipv4, ipv6 } = settings;
  const fixed = [...ipv4.addresses, ...ipv6.addresses];
  const gateways = [ipv4, ipv6].flatMap(({ gateway, defaultRoute }) =>
    gateway && defaultRoute !== false ? [gateway] : [],
  );
  const hasIpv6 = ipv6.method !== "none" || own.some(([, { address }]) => addressFamily(address) === "ipv6");
  const file = section([
    headline,
    ...match(name),
    ...linkSection(settings, "up"),
    "[Network]",
    `DHCP=${ipv4.method === "dhcp" ? "ipv4" : "no"}`,
    `IPv6AcceptRA=${ipv6.method === "automatic" ? "yes" : "no"}`,
    `LinkLocalAddressing=${hasIpv6 ? "ipv6" : "no"}`,
    // Farms listen on these addresses: they stay while a cable is out, so that connections survive it.
    "ConfigureWithoutCarrier=yes",
    `IgnoreCarrierLoss=${ipv4.method === "dhcp" || ipv6.method === "automatic" ? "10s" : "yes"}`,
    // Traffic does not depend on networkd: its restart keeps what a lease gave.
    "KeepConfiguration=dynamic-on-stop",
    ...(ipv4.method === "dhcp" ? [...dhcpSection, ...lastResort(ipv4, "")] : []),
    ...(ipv6.method === "automatic" ? [...advertisementSection, ...lastResort(ipv6, "[IPv6AcceptRA]")] : []),
    ...fixed.flatMap((address) => ["", "[Address]", `Address=${address}`]),
    ...own.flatMap(([label, { address }]) => renderVirtualAddress(label, address)),
    ...gateways.flatMap((gateway) => ["", "[Route]", `Gateway=${gateway}`]),
  ]);
  return { file, addresses: [...fixed, ...own.map(([, { address }]) => address)], gateways, up: true };
}

function match(name: string): string[] {
  return ["[Match]", `Name=${name}`, ""];
}

function linkSection({ mtu }: NetworkInterface, policy: "up" | "always-down"): string[] {
  const bytes = mtu === undefined ? [] : [`MTUBytes=${mtu}`];
  return ["[Link]", `ActivationPolicy=${policy}`, "RequiredForOnline=no", ...bytes, ""];
}

/** The lease gives address, gateway and resolvers, and nothing that the configuration says itself. */
const dhcpSection = [
  "",
  "[DHCPv4]",
  // Reservations are commonly made by MAC.
  "ClientIdentifier=mac",
  "UseDNS=yes",
  "UseNTP=no",
  "UseHostname=no",
  "UseDomains=no",
  "UseMTU=no",
  "UseTimezone=no",
];

const advertisementSection = [
  "",
  "[IPv6AcceptRA]",
  "UseDNS=yes",
  "UseDomains=no",
  "UseMTU=no",
  "",
  "[DHCPv6]",
  "UseDNS=yes",
  "UseNTP=no",
  "UseHostname=no",
  "UseDomains=no",
];

/**
 * A learned gateway that is not to be the default one stays in the main table, where the routing finds it, behind every other.
 * The section is said again: systemd reads both as one.
 */
function lastResort({ defaultRoute }: { defaultRoute?: boolean | undefined }, section: string): string[] {
  if (defaultRoute !== false) return [];
  return [...(section === "" ? [] : ["", section]), "RouteMetric=65535"];
}

function renderVirtualAddress(name: string, address: string): string[] {
  // A deprecated IPv6 address serves those who come to it and is never the source of what the box sends (RFC 6724 rule 3).
  const source = addressFamily(address) === "ipv6" ? ["PreferredLifetime=0"] : [];
  return ["", `# virtual address ${name}`, "[Address]", `Address=${address}`, ...source];
}

function section(lines: string[]): string {
  return `${lines.join("\n")}\n`;
}

/** The addresses a rendered file gives its interface. */
export function addressesOf(file: string): string[] {
  return [...file.matchAll(/^Address=(\S+)$/gm)].map(([, address]) => address ?? "");
}
