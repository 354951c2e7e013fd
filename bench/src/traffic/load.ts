import { runCommand } from "../../../qemu-tests/src/run-command.ts";

export type Connections = { perSecond: number; errors: number };

/** Many connections at once: with few, their timers tick in step with the guest's and the rate jumps between two values. */
const concurrency = 64;

/** New connections per second, one request on each. */
export async function measureConnections(address: string, port: number, seconds: number): Promise<Connections> {
  const { stdout } = await runCommand(
    [
      ...(["wrk", "--threads", "1", "--connections", String(concurrency)] as const),
      ...["--duration", `${seconds}s`, "--timeout", "5s", "--header", "Connection: close"],
      `http://${address}:${port}/`,
    ],
    { timeout: (seconds + 30) * 1000 },
  );
  return parseWrk(stdout);
}

/** wrk's own words; its socket errors are connections that were refused, reset or late. */
export function parseWrk(text: string): Connections {
  const rate = /^Requests\/sec:\s*([\d.]+)/m.exec(text)?.[1];
  if (rate === undefined) throw new Error(`wrk told no rate: ${text.trim().slice(0, 300)}`);
  const errors = /^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/m.exec(text);
  const other = /^\s*Non-2xx or 3xx responses: (\d+)/m.exec(text)?.[1] ?? "0";
  return {
    perSecond: Number(rate),
    errors: (errors?.slice(1) ?? []).reduce((sum, count) => sum + Number(count), Number(other)),
  };
}

/** Megabits per second of four TCP streams from the backend to the client: the direction in which farms carry most. */
export async function measureStream(address: string, port: number, seconds: number): Promise<number> {
  const { stdout } = await runCommand(
    [
      ...(["iperf3", "--client", address, "--port", String(port), "--time", String(seconds)] as const),
      ...["--parallel", "4", "--reverse", "--json", "--connect-timeout", "5000"],
    ],
    { timeout: (seconds + 30) * 1000, accept: [0, 1] },
  );
  return parseIperf(stdout);
}

export function parseIperf(text: string): number {
  const answer = JSON.parse(text) as { error?: string; end?: { sum_received?: { bits_per_second?: number } } };
  if (answer.error) throw new Error(`iperf3: ${answer.error}`);
  const rate = answer.end?.sum_received?.bits_per_second;
  if (rate === undefined) throw new Error("iperf3 told no rate");
  return rate / 1e6;
}
