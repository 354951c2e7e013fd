import ipaddr from "ipaddr.js";

/** The address of a client as it stands in the history and the log; `local` for the socket. */
export function clientAddress({ ip }: { ip: string | undefined }): string {
  if (ip === undefined || !ipaddr.isValid(ip)) return "local";
  // A socket open for both families shows IPv4 clients as ::ffff:192.0.2.1 (RFC 4291, 2.5.5.2).
  return ipaddr.process(ip).toString();
}

/** Whom to count attempts against: an IPv6 client has a whole /64 to come from (RFC 4291, 2.5.1). */
export function attemptKey(address: string): string {
  if (!address.includes(":")) return address;
  const network = ipaddr.IPv6.parse(address).toByteArray().slice(0, 8);
  return `${ipaddr.fromByteArray([...network, ...new Array<number>(8).fill(0)]).toString()}/64`;
}
