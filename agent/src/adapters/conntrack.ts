import type { Machine } from "./machine.ts";
import { labelName } from "./route-numbers.ts";

/** Which connections: all that is named must fit. Addresses and ports are those of the packets as the client sent them. */
export type ConnectionFilter = {
  family: "ipv4" | "ipv6";
  protocol?: "tcp" | "udp";
  /** Address the client connected to. */
  destination?: string;
  destinationPort?: number;
  /** Address that answers: the backend's. */
  server?: string;
  /** Value and mask of the connection mark. */
  mark?: { value: number; mask: number };
  /** tcp only: `ESTABLISHED` leaves out what is being opened or closed. */
  state?: "ESTABLISHED";
};

/**
 * Forgets connections of a label of route-numbers.ts, in both families. None to forget is no error. The kernel may leave some out of
 * a list that changes while it is given, so it is asked again until there is none.
 */
export async function deleteLabelled(machine: Machine, label: number): Promise<void> {
  for (const family of ["ipv4", "ipv6"]) {
    const argv = ["conntrack", "--delete", "--family", family, "--label", labelName(label)] as const;
    for (let pass = 0; pass < 5; pass++) {
      const { stdout } = await machine.run(argv, { timeout, accept: [0, 1] });
      if (stdout.trim() === "") break;
    }
  }
}

/** Counts connections by label, of the labels asked about. */
export async function countLabelled(machine: Machine, labels: readonly number[]): Promise<Map<number, number>> {
  const counts = new Map(labels.map((label) => [label, 0]));
  if (labels.length === 0) return counts;
  const onLine = (line: string) => {
    const names = /\blabels=(\S+)/.exec(line)?.[1]?.split(",") ?? [];
    for (const label of labels) if (names.includes(labelName(label))) counts.set(label, (counts.get(label) ?? 0) + 1);
  };
  for (const family of ["ipv4", "ipv6"])
    await machine.run(["conntrack", "--dump", "--family", family, "--output", "labels"], { timeout, onLine });
  return counts;
}

export type Connection = { destination: string; destinationPort: number; server: string; mark: number };

const timeout = 60_000;

function toArguments(filter: ConnectionFilter): string[] {
  return [
    ...["--family", filter.family],
    ...(filter.protocol ? ["--protonum", filter.protocol] : []),
    ...(filter.state ? ["--state", filter.state] : []),
    ...(filter.destination ? ["--orig-dst", filter.destination] : []),
    ...(filter.destinationPort ? ["--orig-port-dst", String(filter.destinationPort)] : []),
    ...(filter.server ? ["--reply-src", filter.server] : []),
    ...(filter.mark ? ["--mark", `${filter.mark.value}/${filter.mark.mask}`] : []),
  ];
}

/** Forgets connections: the kernel stops translating them, which ends them. None to forget is no error (exit status 1). */
export async function deleteConnections(machine: Machine, filter: ConnectionFilter): Promise<void> {
  await machine.run(["conntrack", "--delete", ...toArguments(filter)], { timeout, accept: [0, 1] });
}

/** Gives the connections that fit to `take`, one by one: there may be millions, so they are not kept. */
export async function forEachConnection(
  machine: Machine,
  filter: ConnectionFilter,
  take: (connection: Connection) => void,
): Promise<void> {
  const onLine = (line: string) => {
    const connection = parseConnection(line);
    if (connection) take(connection);
  };
  await machine.run(["conntrack", "--dump", ...toArguments(filter)], { timeout, onLine });
}

/**
 * One line of conntrack(8): the original direction and then the reply's, each as `src= dst= sport= dport=`.
 * Undefined for a line without ports, such as ICMP.
 */
export function parseConnection(line: string): Connection | undefined {
  const values = (key: string) => [...line.matchAll(new RegExp(`\\b${key}=(\\S+)`, "g"))].map(([, value]) => value);
  const [destination] = values("dst");
  const [destinationPort] = values("dport");
  const [, server] = values("src");
  const [mark = "0"] = values("mark");
  if (destination === undefined || destinationPort === undefined || server === undefined) return undefined;
  return { destination, destinationPort: Number(destinationPort), server, mark: Number(mark) };
}
