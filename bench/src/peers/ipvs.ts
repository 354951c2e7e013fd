export type VirtualService = {
  address: string;
  port: number;
  backends: readonly { address: string; port: number }[];
};

/**
 * What `ipvsadm --restore` reads. Masquerading (-m) is IPVS's name for translating the destination: backends see the client
 * and answer through the box, as with dnat. Round robin is the cheapest of its schedulers that spreads.
 */
export function renderIpvs(services: readonly VirtualService[]): string {
  const lines = services.flatMap(({ address, port, backends }) => [
    `-A -t ${address}:${port} -s rr`,
    ...backends.map((backend) => `-a -t ${address}:${port} -r ${backend.address}:${backend.port} -m`),
  ]);
  return `${lines.join("\n")}\n`;
}
