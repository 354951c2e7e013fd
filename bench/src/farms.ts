import { backends, virtualAddresses } from "../../qemu-tests/src/lab/plan.ts";
import type { HandFarm } from "./peers/nft-rules.ts";
import { answerPorts } from "./traffic/servers.ts";

const firstPort = 10_000;

/** The farm of the boot measurements: two backends, port 80. */
export const bootFarm: HandFarm = {
  name: "boot",
  address: virtualAddresses.ipv4,
  port: 80,
  backends: Object.values(backends).map(({ ipv4 }) => ({ address: ipv4, port: 80 })),
};

/** Ten different backends, all of which answer: two hosts with five ports each. */
const tenBackends = Object.values(backends).flatMap(({ ipv4 }) =>
  answerPorts.slice(1).map((port) => ({ address: ipv4, port, weight: 1 })),
);

/** The farm with this number, on a port of its own. */
export function makeFarm(number: number): HandFarm {
  return {
    name: `farm-${number}`,
    address: virtualAddresses.ipv4,
    port: firstPort + number,
    backends: tenBackends,
  };
}

export function makeFarms(count: number): HandFarm[] {
  return Array.from({ length: count }, (_, number) => makeFarm(number));
}

/** The same farm as an object of the configuration. */
export function toConfiguration({ address, port, backends: list, masquerade }: HandFarm) {
  return {
    profile: "l4xnat",
    virtualAddresses: [address],
    ports: [String(port)],
    protocol: "tcp",
    natType: masquerade ? "nat" : "dnat",
    algorithm: "weight",
    backends: Object.fromEntries(list.map((backend, index) => [`b${index + 1}`, { ...backend }])),
  };
}
