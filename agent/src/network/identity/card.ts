/** A network card of the machine, by what makes it known again: its permanent MAC and its place. */
export type Card = {
  /** Index and name in the kernel now; both change from boot to boot. */
  index: number;
  name: string;
  /** The address the card was made with; undefined when the driver does not tell, or made one up. */
  permanentMac: string | undefined;
  /** The place as udev spells it (ID_PATH), which `.link` files match: `pci-0000:03:00.0`, `pci-0000:00:14.0-usb-0:2:1.0`. */
  path: string | undefined;
  /** Port of a card that has several behind one place (`dev_port` of sysfs), counted from 0. */
  port: number;
  /** The way through the buses, below /sys/devices: `pci0000:00/0000:00:1c.0/0000:03:00.0`. */
  location: string;
  /** The number that the firmware gave to a card on the main board (ACPI _DSM, or SMBIOS type 41). */
  onboard: number | undefined;
  /** A virtual function of another card of this machine (SR-IOV): index of that card's link, and which one it is. */
  virtualFunction: { of: number; number: number } | undefined;
};

const pciFunction = /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** True when both are at the same place of the same machine: path and port. */
export function isSamePlace(one: Pick<Card, "path" | "port">, other: Pick<Card, "path" | "port">): boolean {
  return one.path !== undefined && one.path === other.path && one.port === other.port;
}

/**
 * The order in which new cards get their names: those on the main board by the firmware's number, then cards by their way
 * through the buses, then what is plugged into USB; of one place, by port.
 */
export function compareCards(one: Card, other: Card): number {
  return (
    rankOf(one) - rankOf(other) ||
    (one.onboard ?? 0) - (other.onboard ?? 0) ||
    compareLocations(one.location, other.location) ||
    one.port - other.port ||
    (one.permanentMac ?? "").localeCompare(other.permanentMac ?? "") ||
    one.index - other.index
  );
}

function rankOf({ onboard, location }: Card): number {
  if (onboard !== undefined) return 0;
  return /\/usb\d+\//.test(location) ? 2 : 1;
}

function compareLocations(one: string, other: string): number {
  const [left, right] = [one.split("/"), other.split("/")];
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const order = compareSegments(left[at] ?? "", right[at] ?? "");
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** PCI functions are hexadecimal of fixed width; ports of a USB hub are decimal: `1-2.9` comes before `1-2.10`. */
function compareSegments(one: string, other: string): number {
  if (pciFunction.test(one) && pciFunction.test(other))
    return one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);
  return one.localeCompare(other, "en", { numeric: true });
}
