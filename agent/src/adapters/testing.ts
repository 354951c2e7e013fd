import type { Netlink } from "./netlink.ts";

/** A kernel that has nothing but what a test says: what it does not speak of must not come from the machine that the test runs on. */
export function fakeNetlink(parts: Partial<Netlink>): Netlink {
  return {
    links: async () => [],
    addresses: async () => [],
    defaultRoutes: async () => [],
    routing: async () => ({ routes: [], rules: [], nexthops: [] }),
    ...parts,
  };
}
