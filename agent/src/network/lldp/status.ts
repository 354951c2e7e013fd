import type { Machine } from "../../adapters/machine.ts";
import { messageOf } from "../../errors.ts";
import type { Neighbour } from "../inventory.ts";
import { parseNeighbours } from "./neighbours.ts";

/** What systemd-networkd has heard on the links it manages. None when it cannot be asked: the inventory is worth having without. */
export async function readNeighbours(machine: Machine): Promise<Map<number, Neighbour>> {
  try {
    const { stdout } = await machine.run(["networkctl", "lldp", "--json=short"], { timeout: 5_000 });
    return stdout.trim() === "" ? new Map() : parseNeighbours(stdout);
  } catch (error) {
    machine.log.warn(`LLDP neighbours: ${messageOf(error)}`);
    return new Map();
  }
}
