/** What nftlb is to hold for each farm, in a shape that is equal when it means the same. */

export type AddressDocument = {
  family: "ipv4" | "ipv6";
  protocol: "tcp" | "udp";
  /** Ports and ranges in rising order, joined by commas, none touching another: `80,8000-8010`. */
  ports: string;
};

export type BackendDocument = {
  address: string;
  /** Empty: the port the client asked for. */
  port: string;
  weight: number;
  priority: number;
  /** nftlb's words: off gives no new connection and keeps the rule for those under way; down takes that away too. */
  state: "up" | "off" | "down";
};

export type FarmDocument = {
  /** snat: masquerade, the backend sees the box. dnat: the backend sees the client. */
  mode: "snat" | "dnat";
  scheduler: "weight" | "rr" | "hash";
  /** What is hashed, in nftlb's words. */
  parameters: "none" | "srcip" | "srcip srcport";
  /** By address. */
  addresses: Record<string, AddressDocument>;
  /** By name. */
  backends: Record<string, BackendDocument>;
  /** Settings of nftlb we never make, found on it: somebody else did. */
  foreign: Record<string, string>;
};

export type Farms = Record<string, FarmDocument>;

/**
 * The connection mark of each backend, by `farm/backend`. It tells to which backend a connection belongs, so it never
 * changes while the backend lives, also when nftlb starts anew.
 */
export type Marks = Record<string, number>;

export type L4Artefacts = {
  /** stopped: nftlb does not answer. damaged: the kernel's rules are not those that nftlb believes it has loaded. */
  dataPlane: { state: "running" } | { state: "stopped" } | { state: "damaged"; reason: string };
  farms: Farms;
  marks: Marks;
  /** A copy of the rules stands in while nftlb starts anew. */
  handover: boolean;
};

export function markKey(farm: string, backend: string): string {
  return `${farm}/${backend}`;
}

/** A document is never changed: the keys of its backends are joined once, and not for each of several questions about thousands. */
const keys = new WeakMap<FarmDocument, { farm: string; list: readonly string[] }>();

/** Keys of the marks of a farm's backends, in their order. */
export function markKeys(farm: string, document: FarmDocument): readonly string[] {
  const known = keys.get(document);
  if (known?.farm === farm) return known.list;
  const list = Object.keys(document.backends).map((backend) => markKey(farm, backend));
  keys.set(document, { farm, list });
  return list;
}

/** Highest mark nftlb takes; it adds this bit to tell which connections to masquerade. */
export const masqueradeBit = 0x80000000;
export const highestMark = 0xfff;

/**
 * Mark 1 is given to nobody: nftlb, before it takes the mark it is told, looks for a free one from 1 up through all backends
 * of all farms. With 1 free it finds it at once; without, 250 farms of 10 take 10 s instead of 3.
 */
export const lowestMark = 2;
export const highestBackendCount = highestMark - lowestMark + 1;

/** `farm` cannot hold a dot, so no two farms share a name for an address. */
export function addressName(farm: string, address: string): string {
  return `${farm}.${address}`;
}
