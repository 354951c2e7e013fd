import { readFile } from "node:fs/promises";

/**
 * First packets of connections that this network namespace has sent again since it was made, for nobody answered within a second.
 * A connection that was dropped for a moment succeeds later, so only this tells.
 */
export async function countRepeatedSyns(): Promise<number> {
  return parseRepeatedSyns(await readFile("/proc/self/net/netstat", "utf8"));
}

/** `TCPSynRetrans` of /proc/net/netstat: a line of names, and a line of values below it. */
export function parseRepeatedSyns(text: string): number {
  const [names = [], values = []] = text
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  const value = values[names.indexOf("TCPSynRetrans")];
  if (value === undefined) throw new Error("/proc/net/netstat has no TCPSynRetrans");
  return Number(value);
}
