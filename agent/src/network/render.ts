import { addressFamily } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import type { LinkKind } from "./link-kinds.ts";
import { type LinkArtefact, renderLink } from "./render-netdev.ts";
import type { NetworkInterface, VirtualAddress } from "./schema.ts";
import { type Interfaces, lowerOf, mastersOf, withImplied } from "./topology.ts";

/** What one interface is given, or has: the observed artefact is read from the files in /run and from the kernel. */
export type InterfaceArtefact = {
  /** The systemd.network(5) file. */
  file: string;
  /** Of a link that the box makes: a bond, VLAN, bridge, dummy or VRF. Observed: undefined when the kernel has no such link. */
  link?: LinkArtefact | undefined;
  /** Addresses with prefix length that do not come from a lease. */
  addresses: string[];
  /** Default gateways. */
  gateways: string[];
  /** Administratively up. */
  up: boolean;
  /** The bond, bridge or VRF it belongs to. */
  master?: string | undefined;
  /** Bytes, when they are given. */
  mtu?: number | undefined;
  /** The name for people; empty: none. */
  alias: string;
  /** The links it stands on, which come before it and go after it. */
  lower: string[];
  /** Where the configuration names it, for complaints. */
  path?: string;
  /** Where the configuration gives each of the addresses, for complaints. */
  addressPaths?: Record<string, string>;
  /** Whether the link is there and sees another; undefined in a wanted artefact, which cannot say. */
  seen?: { present: boolean; carrier: boolean };
};

export type NetworkArtefacts = Record<string, InterfaceArtefact>;

type Surroundings = {
  interfaces: Interfaces;
  masters: Map<string, string>;
  own: [string, VirtualAddress][];
  lldp: Configuration["system"]["lldp"];
};

/**
 * One artefact per configured interface, and one for each that a bond, bridge or VLAN names. An interface that is not
 * configured has none and is left alone by networkd.
 */
export function renderNetwork({
  interfaces: given,
  virtualAddresses,
  system: { lldp },
}: Pick<Configuration, "interfaces" | "virtualAddresses" | "system">): NetworkArtefacts {
  const interfaces = withImplied(given);
  const masters = mastersOf(interfaces);
  return Object.fromEntries(
    Object.entries(interfaces).map(([name, settings]) => {
      // By name, so that the file does not change with the order in which the configuration was read.
      const own = Object.entries(virtualAddresses)
        .filter(([, each]) => each.enabled && each.interface === name)
        .sort(([one], [other]) => (one < other ? -1 : 1));
      const artefact = renderInterface(name, settings, { interfaces, masters, own, lldp });
      return [name, { ...artefact, path: findPath(given, name) }];
    }),
  );
}

/** `interfaces.nic0`, or where a bond names what has no settings of its own. */
function findPath(interfaces: Interfaces, name: string): string {
  if (Object.hasOwn(interfaces, name)) return `interfaces.${name}`;
  for (const [upper, settings] of Object.entries(interfaces))
    for (const lower of lowerOf(settings)) if (lower.name === name) return `interfaces.${upper}.${lower.path}`;
  return "interfaces";
}

const headline = "# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).";

function renderInterface(name: string, settings: NetworkInterface, around: Surroundings): InterfaceArtefact {
  const { own, masters, interfaces } = around;
  const master = masters.get(name);
  const vrf = master === undefined ? undefined : interfaces[master]?.vrf;
  const { ipv4, ipv6, enabled } = vrf ? withGatewayOfVrf(settings) : settings;
  const fixed = enabled ? [...ipv4.addresses, ...ipv6.addresses] : [];
  const virtual = enabled ? own : [];
  const addressPaths = Object.fromEntries([
    ...(["ipv4", "ipv6"] as const).flatMap((family) =>
      settings[family].addresses.map((each, at) => [each, `interfaces.${name}.${family}.addresses.${at}`]),
    ),
    ...virtual.map(([label, { address }]) => [address, `virtualAddresses.${label}.address`]),
  ]);
  const gateways = (enabled ? [ipv4, ipv6] : []).flatMap(({ gateway, defaultRoute }) =>
    gateway && defaultRoute !== false ? [gateway] : [],
  );
  const mtu = settings.mtu ?? (master === undefined ? undefined : bondMtu(interfaces, master));
  const file = section([
    headline,
    ...match(name),
    ...linkSection(enabled ? "up" : "always-down", mtu),
    "[Network]",
    ...relations(name, around),
    ...(enabled ? renderMethods({ ipv4, ipv6 }, virtual) : silent),
    ...(settings.kind === "ethernet" ? renderLldp(around.lldp) : []),
    ...fixed.flatMap((address) => ["", "[Address]", `Address=${address}`]),
    ...virtual.flatMap(([label, { address }]) => renderVirtualAddress(label, address)),
    ...gateways.flatMap((gateway) => [
      ...["", "[Route]", `Gateway=${gateway}`],
      ...(vrf ? [`Table=${vrf.table}`] : []),
    ]),
  ]);
  return {
    file,
    link: renderLink(name, settings),
    addresses: [...fixed, ...virtual.map(([, { address }]) => address)],
    addressPaths,
    gateways,
    up: enabled,
    master,
    mtu,
    alias: settings.alias,
    // A VRF comes before what it keeps apart, and is made without it.
    lower: settings.kind === "vrf" ? [] : lowerOf(settings).map((lower) => lower.name),
  };
}

/** `defaultRoute` is about the box's default gateway; in a VRF a gateway is that of the VRF. */
function withGatewayOfVrf({
  ipv4,
  ipv6,
  enabled,
}: NetworkInterface): Pick<NetworkInterface, "ipv4" | "ipv6" | "enabled"> {
  return { enabled, ipv4: { ...ipv4, defaultRoute: true }, ipv6: { ...ipv6, defaultRoute: true } };
}

/** networkd hears routers and bridges unless told. Cards tell by themselves, also for the bond they belong to. */
function renderLldp(lldp: Configuration["system"]["lldp"]): string[] {
  if (lldp === "receive") return [];
  return lldp === "off" ? ["LLDP=no"] : ["EmitLLDP=nearest-bridge"];
}

const silent = ["DHCP=no", "IPv6AcceptRA=no", "LinkLocalAddressing=no"];

function renderMethods(
  { ipv4, ipv6 }: Pick<NetworkInterface, "ipv4" | "ipv6">,
  own: [string, VirtualAddress][],
): string[] {
  const hasIpv6 = ipv6.method !== "none" || own.some(([, { address }]) => addressFamily(address) === "ipv6");
  const learns = ipv4.method === "dhcp" || !["none", "static"].includes(ipv6.method);
  const dhcp = { none: "no", ipv4: "ipv4", ipv6: "ipv6", both: "yes" } as const;
  const client =
    ipv6.method === "dhcp" ? (ipv4.method === "dhcp" ? "both" : "ipv6") : ipv4.method === "dhcp" ? "ipv4" : "none";
  return [
    `DHCP=${dhcp[client]}`,
    `IPv6AcceptRA=${["automatic", "slaac", "dhcp"].includes(ipv6.method) ? "yes" : "no"}`,
    `LinkLocalAddressing=${hasIpv6 ? "ipv6" : "no"}`,
    // A load balancer is to be found again: no addresses that change by themselves (RFC 8981).
    "IPv6PrivacyExtensions=no",
    // Farms listen on these addresses: they stay while a cable is out, so that connections survive it.
    "ConfigureWithoutCarrier=yes",
    `IgnoreCarrierLoss=${learns ? "10s" : "yes"}`,
    // Traffic does not depend on networkd: its restart keeps what a lease gave.
    "KeepConfiguration=dynamic-on-stop",
    ...(ipv4.method === "dhcp" ? [...dhcpSection, ...lastResort(ipv4)] : []),
    ...renderLearning(ipv6),
  ];
}

/** How systemd.network(5) says what an interface belongs to. */
const membership: Partial<Record<LinkKind, string>> = { bond: "Bond", bridge: "Bridge", vrf: "VRF" };

/** The bond, bridge or VRF above it, and the VLANs on it. */
function relations(name: string, { interfaces, masters }: Surroundings): string[] {
  const master = masters.get(name);
  const settings = master === undefined ? undefined : interfaces[master];
  const vlans = Object.entries(interfaces)
    .filter(([, { kind, vlan }]) => kind === "vlan" && vlan?.parent === name)
    .map(([each]) => each)
    .sort();
  return [
    ...(settings ? [`${membership[settings.kind]}=${master}`] : []),
    ...(settings?.bond?.primary === name ? ["PrimarySlave=yes"] : []),
    ...vlans.map((each) => `VLAN=${each}`),
  ];
}

/** A bond gives its MTU to its members; saying so keeps networkd from setting them back. */
function bondMtu(interfaces: Interfaces, master: string): number | undefined {
  const settings = interfaces[master];
  return settings?.kind === "bond" ? settings.mtu : undefined;
}

function match(name: string): string[] {
  return ["[Match]", `Name=${name}`, ""];
}

function linkSection(policy: "up" | "always-down", mtu: number | undefined): string[] {
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

/** Router advertisements bring the gateway in any case: DHCPv6 has none to give (RFC 8415). */
function renderLearning({ method, ...settings }: NetworkInterface["ipv6"]): string[] {
  if (method === "none" || method === "static") return [];
  const only = { automatic: [], slaac: ["DHCPv6Client=no"], dhcp: ["UseAutonomousPrefix=no", "DHCPv6Client=always"] };
  const client = [
    ...["", "[DHCPv6]", "UseDNS=yes", "UseNTP=no", "UseHostname=no", "UseDomains=no"],
    // The server is asked without waiting for a router.
    ...(method === "dhcp" ? ["WithoutRA=solicit"] : []),
  ];
  return [
    "",
    "[IPv6AcceptRA]",
    "UseDNS=yes",
    "UseDomains=no",
    "UseMTU=no",
    ...only[method],
    ...lastResort(settings),
    ...(method === "slaac" ? [] : client),
  ];
}

/** A learned gateway that is not to be the default one stays in the main table, where the routing finds it, behind every other. */
function lastResort({ defaultRoute }: { defaultRoute?: boolean | undefined }): string[] {
  return defaultRoute === false ? ["RouteMetric=65535"] : [];
}

function renderVirtualAddress(name: string, address: string): string[] {
  // A deprecated IPv6 address serves those who come to it and is never the source of what the box sends (RFC 6724 rule 3). Whether
  // another host has it is asked before it is taken, and it serves at once: the kernel's own detection takes a second or two.
  const settings = addressFamily(address) === "ipv6" ? ["PreferredLifetime=0", "DuplicateAddressDetection=none"] : [];
  return ["", `# virtual address ${name}`, "[Address]", `Address=${address}`, ...settings];
}

function section(lines: string[]): string {
  return `${lines.join("\n")}\n`;
}

/** The addresses a rendered file gives its interface. */
export function addressesOf(file: string): string[] {
  return [...file.matchAll(/^Address=(\S+)$/gm)].map(([, address]) => address ?? "");
}
