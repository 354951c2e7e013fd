import { isAddress } from "../../configuration/fields.ts";
import { parseTiny } from "./formats.ts";

/** `if_<name>_conf`: what the product keeps about an interface. */

export type InterfaceFile = {
  /** `eth0.100:web` */
  name: string;
  /** `eth0`, `bond0` */
  device: string;
  vlan: string | undefined;
  /** The part behind the colon of a virtual interface. */
  virtual: string | undefined;
  enabled: boolean;
  dhcp: boolean;
  addresses: { address: string; mask: string; gateway: string }[];
  /** What could not be read. */
  damage: string[];
};

const fileName = /^if_([a-zA-Z0-9-]+)(?:\.(\d{1,4}))?(?::([a-zA-Z0-9_-]+))?_conf$/;

/** The parts of the name of an interface's file; undefined for another file. */
export function splitInterfaceFileName(
  path: string,
): Pick<InterfaceFile, "name" | "device" | "vlan" | "virtual"> | undefined {
  const [, device, vlan, virtual] = fileName.exec(path) ?? [];
  if (device === undefined) return undefined;
  const name = `${device}${vlan === undefined ? "" : `.${vlan}`}${virtual === undefined ? "" : `:${virtual}`}`;
  return { name, device, vlan, virtual };
}

/** Reads both formats: sections since 5.9, and before that a line of columns for each address family. */
export function parseInterfaceFile(path: string, text: string): InterfaceFile | undefined {
  const names = splitInterfaceFileName(path);
  if (!names) return undefined;
  const section = parseTiny(text).get(names.name);
  return { ...names, ...(section ? readSection(section) : readColumns(text)) };
}

type Settings = Omit<InterfaceFile, "name" | "device" | "vlan" | "virtual">;

function readSection(fields: ReadonlyMap<string, string>): Settings {
  const field = (key: string) => fields.get(key) ?? "";
  const damage: string[] = [];
  const address = field("addr");
  if (address !== "" && !isAddress(address)) damage.push(`${address} is no address`);
  return {
    enabled: field("status") !== "down",
    dhcp: field("dhcp") === "true",
    addresses: isAddress(address) ? [{ address, mask: field("mask"), gateway: field("gateway") }] : [],
    damage,
  };
}

/** `status=up` and `eth0;192.0.2.5;255.255.255.0;192.0.2.1;`; older still: `eth0;192.0.2.5;255.255.255.0;up;192.0.2.1;`. */
function readColumns(text: string): Settings {
  const settings: Settings = { enabled: true, dhcp: false, addresses: [], damage: [] };
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const status = /^status=(\w+)/.exec(line)?.[1];
    if (status !== undefined) {
      settings.enabled = status !== "down";
      continue;
    }
    const [, address = "", mask = "", third = "", fourth = ""] = line.split(";").map((part) => part.trim());
    if (address === "") continue;
    if (!isAddress(address)) {
      settings.damage.push(`the line ${JSON.stringify(line.slice(0, 80))} has no address where one belongs`);
      continue;
    }
    const old = third === "up" || third === "down";
    if (old) settings.enabled = third !== "down";
    settings.addresses.push({ address, mask, gateway: old ? fourth : third });
  }
  return settings;
}
