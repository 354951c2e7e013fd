import { z } from "zod";
import type { Neighbour } from "../inventory.ts";

/** What networkd heard by LLDP, as `networkctl lldp --json=short` prints it (systemd 257). */
const listing = z.object({
  Neighbors: z
    .array(
      z.object({
        InterfaceIndex: z.int(),
        Neighbors: z
          .array(
            z.object({
              ChassisID: z.string().optional(),
              PortID: z.string().optional(),
              PortDescription: z.string().optional(),
              SystemName: z.string().optional(),
              SystemDescription: z.string().optional(),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
});

/** Neighbours by the index of the link they were heard on. A link with several, as behind a hub, tells nothing: it has none. */
export function parseNeighbours(json: string): Map<number, Neighbour> {
  const { Neighbors } = listing.parse(JSON.parse(json));
  const found = new Map<number, Neighbour>();
  for (const { InterfaceIndex, Neighbors: heard } of Neighbors) {
    const [only, ...others] = heard;
    if (only?.ChassisID === undefined || only.PortID === undefined || others.length > 0) continue;
    found.set(InterfaceIndex, {
      chassis: only.ChassisID,
      port: only.PortID,
      portDescription: only.PortDescription,
      system: only.SystemName,
      systemDescription: only.SystemDescription,
    });
  }
  return found;
}
