import { type BackendName, backendPorts, backends, virtualAddresses } from "../lab/plan.ts";
import { type Answer, askHttp, askMany, askUdp, type Tally } from "../traffic/clients.ts";

export type Family = "ipv4" | "ipv6";

/** A farm of the lab in short: the API's object is made of it. */
export type FarmShape = {
  protocol?: "tcp" | "udp";
  family?: Family;
  natType?: "nat" | "dnat";
  algorithm?: "weight" | "round-robin" | "hash-source-address" | "hash-source-address-port";
  weights?: Record<BackendName, number>;
  /** Port clients connect to; the backends' own unless told. */
  port?: number;
  /** Port on the backends. */
  backendPort?: number;
  address?: string;
};

/** The body of a farm with both of the lab's servers behind it. */
export function makeFarm(shape: FarmShape = {}): Record<string, unknown> {
  const { protocol = "tcp", family = "ipv4", natType = "nat", algorithm = "round-robin" } = shape;
  const { b1, b2 } = shape.weights ?? { b1: 1, b2: 1 };
  const backendPort = shape.backendPort ?? (protocol === "udp" ? backendPorts.udp : backendPorts.http);
  return {
    profile: "l4xnat",
    virtualAddresses: [shape.address ?? virtualAddresses[family]],
    ports: [String(shape.port ?? backendPort)],
    protocol,
    natType,
    algorithm,
    backends: {
      b1: { address: backends.b1[family], port: backendPort, weight: b1 },
      b2: { address: backends.b2[family], port: backendPort, weight: b2 },
    },
  };
}

/** Sends `total` connections (or datagrams) to a farm, each from a port of its own, and counts who answered. */
export async function ask(shape: FarmShape, total: number, timeout: number): Promise<Tally> {
  const { protocol = "tcp", family = "ipv4" } = shape;
  const target = {
    address: shape.address ?? virtualAddresses[family],
    port: shape.port ?? shape.backendPort ?? (protocol === "udp" ? backendPorts.udp : backendPorts.http),
    timeout,
  };
  const once: () => Promise<Answer> = protocol === "udp" ? () => askUdp(target) : () => askHttp(target);
  return await askMany(total, once);
}
