import ipaddr from "ipaddr.js";
import type { Finding } from "../commit/subsystem.ts";
import { addressFamily, networkOf, splitPrefixed } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { explainKeptApart } from "../configuration/vrf.ts";
import type { Uplink, UplinkFarm } from "./schema.ts";

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });
const say = { ipv4: "IPv4", ipv6: "IPv6" };

/** Everything that is wrong or odd with the farms of uplinks, each with its path. */
export function verifyUplinks(configuration: Configuration): Finding[] {
  const farms = Object.entries(configuration.uplinkFarms);
  return [
    ...farms.flatMap(([name, farm]) => verifyFarm(`uplinkFarms.${name}`, farm, configuration)),
    ...findSharing(farms.filter(([, { enabled }]) => enabled)),
  ];
}

function verifyFarm(path: string, farm: UplinkFarm, configuration: Configuration): Finding[] {
  const uplinks = Object.entries(farm.uplinks);
  const findings: Finding[] = [];
  farm.interfaces.forEach((name, at) => {
    const where = `${path}.interfaces.${at}`;
    findings.push(...verifyInterface(where, name, configuration));
    if (uplinks.some(([, each]) => each.interface === name))
      findings.push(error(where, `${name} is an uplink's: it cannot be inside as well`));
  });
  findings.push(...farm.sources.flatMap((each, at) => verifyNetwork(`${path}.sources.${at}`, each)));
  if (farm.interfaces.length === 0 && !farm.box)
    findings.push(
      warning(`${path}.interfaces`, "no interface inside is named and the box does not use the uplinks: nobody does"),
    );
  if (uplinks.length === 0) findings.push(warning(`${path}.uplinks`, "there is no uplink"));
  else if (Object.keys(farm.probes).length === 0)
    findings.push(
      warning(`${path}.probes`, "without a probe, an uplink that is dead beyond its gateway goes on being used"),
    );
  if (farm.timeout >= farm.interval)
    findings.push(error(`${path}.timeout`, `expected less than the interval of ${farm.interval} s`));
  for (const [name, uplink] of uplinks)
    findings.push(...verifyUplink(`${path}.uplinks.${name}`, uplink, configuration));
  for (const [name, { address }] of Object.entries(farm.probes)) {
    const family = addressFamily(address);
    if (!uplinks.some(([, { gateway }]) => addressFamily(gateway) === family))
      findings.push(
        error(`${path}.probes.${name}.address`, `expected the family of an uplink: none serves ${say[family]}`),
      );
    for (const [uplink, { gateway }] of uplinks)
      if (gateway === address)
        findings.push(
          warning(
            `${path}.probes.${name}.address`,
            `${address} is the gateway of ${uplink} itself: it may answer while nothing beyond it does`,
          ),
        );
  }
  findings.push(...farm.ties.flatMap((tie, at) => verifyTie(`${path}.ties.${at}`, tie, farm, configuration)));
  return findings;
}

function verifyInterface(path: string, name: string, { interfaces }: Configuration): Finding[] {
  const settings = Object.hasOwn(interfaces, name) ? interfaces[name] : undefined;
  const names = Object.keys(interfaces).join(", ");
  if (!settings)
    return [error(path, `expected a configured interface${names === "" ? "; there is none" : `: ${names}`}`)];
  const words = explainKeptApart(interfaces, name);
  if (words !== undefined) return [error(path, words)];
  return settings.enabled ? [] : [warning(path, `${name} is disabled`)];
}

function verifyNetwork(path: string, network: string): Finding[] {
  const base = networkOf(network);
  return base === network ? [] : [error(path, `expected a network: ${base}`)];
}

function verifyUplink(path: string, uplink: Uplink, configuration: Configuration): Finding[] {
  const { gateway, translation, prefix } = uplink;
  const family = addressFamily(gateway);
  const findings = verifyInterface(`${path}.interface`, uplink.interface, configuration);
  const settings = configuration.interfaces[uplink.interface]?.[family];
  if (settings) {
    const own = settings.addresses;
    const near = own.some((each) => {
      const [network, length] = ipaddr.parseCIDR(each);
      return ipaddr.parse(gateway).match(network, length);
    });
    const learns = settings.method === "dhcp" || settings.method === "automatic";
    if (own.some((each) => splitPrefixed(each).address === gateway))
      findings.push(error(`${path}.gateway`, "expected another address than the interface's own"));
    else if (settings.method === "none")
      findings.push(error(`${path}.gateway`, `${uplink.interface} has no ${say[family]} address`));
    else if (!near && !learns && ipaddr.parse(gateway).range() !== "linkLocal")
      findings.push(error(`${path}.gateway`, `expected an address within a network of ${uplink.interface}`));
  }
  if (translation === "prefix") {
    if (family !== "ipv6")
      findings.push(error(`${path}.translation`, "expected masquerade or none: a prefix is translated in IPv6 only"));
    if (!prefix) findings.push(error(`${path}.prefix`, "expected the prefixes inside and outside"));
  } else if (prefix) findings.push(error(`${path}.prefix`, `expected none, for the translation is ${translation}`));
  if (prefix) {
    for (const side of ["inside", "outside"] as const) {
      if (addressFamily(prefix[side]) !== "ipv6")
        findings.push(error(`${path}.prefix.${side}`, "expected an IPv6 network"));
      else findings.push(...verifyNetwork(`${path}.prefix.${side}`, prefix[side]));
    }
    if (splitPrefixed(prefix.inside).length !== splitPrefixed(prefix.outside).length)
      findings.push(error(`${path}.prefix.outside`, `expected a network of the same length as ${prefix.inside}`));
  }
  return findings;
}

function verifyTie(
  path: string,
  tie: UplinkFarm["ties"][number],
  farm: UplinkFarm,
  { farms }: Configuration,
): Finding[] {
  const findings: Finding[] = [];
  const uplink = Object.hasOwn(farm.uplinks, tie.uplink) ? farm.uplinks[tie.uplink] : undefined;
  if (!uplink)
    findings.push(
      error(
        `${path}.uplink`,
        `expected an uplink of this farm: ${Object.keys(farm.uplinks).join(", ") || "there is none"}`,
      ),
    );
  const networks = (["source", "destination"] as const).filter((field) => tie[field] !== undefined);
  for (const field of networks) {
    const network = tie[field] ?? "";
    findings.push(...verifyNetwork(`${path}.${field}`, network));
    if (uplink && addressFamily(network) !== addressFamily(uplink.gateway))
      findings.push(
        error(`${path}.${field}`, `expected the family of ${tie.uplink}, ${say[addressFamily(uplink.gateway)]}`),
      );
  }
  if (tie.farm === undefined) {
    if (networks.length === 0) findings.push(error(path, "expected a source, a destination or a farm"));
    return findings;
  }
  if (networks.length > 0)
    findings.push(error(`${path}.farm`, "expected a farm alone: its answers go to whoever asked"));
  if (!Object.hasOwn(farms, tie.farm))
    findings.push(error(`${path}.farm`, `expected a farm: ${Object.keys(farms).join(", ") || "there is none"}`));
  return findings;
}

/** What can belong to one farm of uplinks alone. */
function findSharing(farms: [string, UplinkFarm][]): Finding[] {
  const findings: Finding[] = [];
  const taken = new Map<string, string>();
  const take = (key: string, owner: string, path: string, words: string) => {
    const other = taken.get(key);
    if (other !== undefined) findings.push(error(path, `${words} ${other}`));
    else taken.set(key, owner);
  };
  for (const [name, { interfaces, box, uplinks }] of farms) {
    const path = `uplinkFarms.${name}`;
    for (const [at, each] of interfaces.entries())
      take(`inside ${each}`, name, `${path}.interfaces.${at}`, `${each} is inside for farm`);
    if (box) take("box", name, `${path}.box`, "the box uses the uplinks of farm");
    for (const [uplink, { interface: device, gateway }] of Object.entries(uplinks))
      take(
        `${device} ${gateway}`,
        `${name}/${uplink}`,
        `${path}.uplinks.${uplink}.gateway`,
        `${gateway} on ${device} is the uplink`,
      );
  }
  return findings;
}
