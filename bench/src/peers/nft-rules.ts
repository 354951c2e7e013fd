/** Rules as an administrator would write them by hand: the yardstick of what the kernel can do. */

export type HandFarm = {
  name: string;
  address: string;
  port: number;
  backends: readonly HandBackend[];
  /** Backends see the box's address instead of the client's. */
  masquerade?: boolean;
};

export type HandBackend = { address: string; port: number; weight?: number };

const table = "bench";

/** One file that replaces the whole table in one transaction. */
export function renderRuleset(farms: readonly HandFarm[]): string {
  const services = farms.map((farm) => serviceElement(farm)).join(",\n\t\t\t");
  const masquerade = farms.some((farm) => farm.masquerade)
    ? `
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ct mark 0x1 masquerade
	}`
    : "";
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
	map services {
		type ipv4_addr . inet_service : verdict
		${services === "" ? "" : `elements = {\n\t\t\t${services}\n\t\t}`}
	}
${farms.map((farm) => `\tchain ${chainName(farm)} {\n\t\t${balancingRule(farm)}\n\t}`).join("\n")}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		meta l4proto tcp ip daddr . tcp dport vmap @services
	}${masquerade}
}
`;
}

/** One more farm for a table that stands. */
export function renderAddition(farm: HandFarm): string {
  return [
    `add chain ip ${table} ${chainName(farm)}`,
    `add rule ip ${table} ${chainName(farm)} ${balancingRule(farm)}`,
    `add element ip ${table} services { ${serviceElement(farm)} }`,
    "",
  ].join("\n");
}

/** Other backends or weights for a farm that stands. */
export function renderChange(farm: HandFarm): string {
  return [
    `flush chain ip ${table} ${chainName(farm)}`,
    `add rule ip ${table} ${chainName(farm)} ${balancingRule(farm)}`,
    "",
  ].join("\n");
}

export function renderRemoval(farm: HandFarm): string {
  return [
    `delete element ip ${table} services { ${farm.address} . ${farm.port} }`,
    `delete chain ip ${table} ${chainName(farm)}`,
    "",
  ].join("\n");
}

export const removeTable = `delete table ip ${table}\n`;

function chainName({ name }: HandFarm): string {
  return `farm-${name}`;
}

function serviceElement(farm: HandFarm): string {
  return `${farm.address} . ${farm.port} : goto ${chainName(farm)}`;
}

/** A port in a map of nat needs a match of the transport protocol in the same rule. */
function balancingRule({ backends, masquerade }: HandFarm): string {
  let next = 0;
  const shares = backends.map(({ address, port, weight = 1 }) => {
    const first = next;
    next += weight;
    const slots = weight === 1 ? String(first) : `${first}-${next - 1}`;
    return `${slots} : ${address} . ${port}`;
  });
  const mark = masquerade ? "ct mark set 0x1 " : "";
  return `meta l4proto tcp ${mark}dnat ip to numgen random mod ${next} map { ${shares.join(", ")} }`;
}
