import type { HandFarm } from "./nft-rules.ts";

/** A farm as nftlb's own API takes it: what the agent would send, without the agent. Marks from `firstMark` up must be free. */
export function renderNftlbFarm(farm: HandFarm, firstMark: number) {
  return {
    farms: [
      {
        name: farm.name,
        mode: farm.masquerade ? "snat" : "dnat",
        scheduler: "weight",
        addresses: [
          {
            name: `${farm.name}.${farm.address}`,
            family: "ipv4",
            "ip-addr": farm.address,
            ports: String(farm.port),
            protocol: "tcp",
          },
        ],
        state: "up",
        backends: farm.backends.map(({ address, port, weight = 1 }, index) => ({
          name: backendName(index),
          mark: `0x${(firstMark + index).toString(16)}`,
          "ip-addr": address,
          port: String(port),
          weight: String(weight),
          priority: "1",
          state: "up",
        })),
      },
    ],
  };
}

/** One backend's other weight or state. */
export function renderNftlbChange(farm: HandFarm, index: number, change: { weight?: string; state?: "up" | "off" }) {
  return { farms: [{ name: farm.name, backends: [{ name: backendName(index), ...change }] }] };
}

export function backendName(index: number): string {
  return `b${index + 1}`;
}
