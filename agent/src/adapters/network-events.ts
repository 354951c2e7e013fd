import { createRtNetlink } from "node-netlink";

/** Groups of rtnetlink(7) that tell of links, addresses and routes. */
const groups = ["LINK", "IPV4_IFADDR", "IPV4_ROUTE", "IPV6_IFADDR", "IPV6_ROUTE"] as const;

/** Calls the listener after each change of links, addresses or routes in our network namespace, until the signal. */
export function listenToNetwork(listener: () => void, signal: AbortSignal): void {
  if (signal.aborted) return;
  const socket = createRtNetlink();
  // What the library cannot read has happened all the same.
  socket.on("message", () => listener());
  socket.on("invalid", () => listener());
  for (const group of groups) socket.addMembership(group);
  signal.addEventListener("abort", () => socket.socket.close(), { once: true });
}
