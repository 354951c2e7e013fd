import { isAddress } from "../../configuration/fields.ts";
import { type UplinkFarm, uplinkFarm } from "../../dslb/schema.ts";
import { type Draft, makeName, report, reportTaken } from "./draft.ts";
import { readText } from "./source.ts";

/**
 * `<farm>_datalink.cfg`: `uplinks;192.0.2.10;eth0;weight;up` and, for each uplink, `;server;203.0.113.1;eth1;1;1;up`. What comes
 * from the network of the interface leaves by one of the uplinks; hosts there have the farm's address as their gateway.
 */

type Uplinks = Record<string, object>;

export function readDatalinkFarms(draft: Draft): void {
  for (const path of [...draft.source.configuration.keys()].sort()) {
    const name = /^(.+)_datalink\.cfg$/.exec(path)?.[1];
    if (name !== undefined) readDatalink(draft, path, name);
  }
}

function readDatalink(draft: Draft, path: string, there: string): void {
  const lines = (readText(draft.source.configuration, path) ?? "").split(/\r?\n/).filter((line) => line.trim() !== "");
  const head = lines.find((line) => !line.startsWith(";"))?.split(";") ?? [];
  const [, address = "", link = "", algorithm = "", status = ""] = head.map((each) => each.trim());
  const backends = lines
    .filter((line) => line.startsWith(";server;"))
    .map((line) => {
      const [, , gateway = "", through = "", weight = "", priority = "", state = ""] = line
        .split(";")
        .map((each) => each.trim());
      return { gateway, interface: through, weight, priority, state };
    });
  const enabled = status !== "down";
  const content = { address, interface: link, algorithm, enabled, backends };
  const item = { kind: "datalink farm", name: there, file: path, content };
  const refuse = (...notes: string[]) => report(draft, { ...item, result: "not-supported", notes });
  // The address may be that of a virtual interface.
  const inside = draft.places.get(link.replace(/:.*$/, ""));
  if (inside === undefined) {
    refuse(`${link || "its interface"} has no place here: map it to an interface`);
    return;
  }
  const notes: string[] = [];
  const uplinks: Uplinks = {};
  for (const [at, backend] of backends.entries()) {
    const place = draft.places.get(backend.interface.replace(/:.*$/, ""));
    if (place === undefined || !isAddress(backend.gateway)) {
      const reason = place === undefined ? `${backend.interface} has no place here` : "that is no address";
      notes.push(`the uplink ${backend.gateway} is not taken: ${reason}`);
      continue;
    }
    uplinks[`uplink-${at + 1}`] = {
      interface: place,
      gateway: backend.gateway,
      weight: within(backend.weight, 255, "weight", notes),
      priority: within(backend.priority, 9, "priority", notes),
      state: backend.state === "maintenance" ? "maintenance" : "up",
      // The product forwards, and leaves translation to the gateways.
      translation: "none",
    };
  }
  if (Object.keys(uplinks).length === 0) {
    refuse("it has no uplink that could be taken", ...notes);
    return;
  }
  const farm = uplinkFarm.safeParse({
    enabled,
    interfaces: [inside],
    algorithm: algorithm === "prio" ? "priority" : "weight",
    uplinks,
  });
  if (!farm.success) {
    refuse(...farm.error.issues.map(({ message }) => message), ...notes);
    return;
  }
  const name = makeName(there, takenNames(draft));
  if (name !== there) notes.push(`names here are of a-z, 0-9, - and _: ${there} is ${name}`);
  notes.push(
    `hosts inside go on using ${address} as their gateway`,
    "uplinks are watched by link and neighbour, sources are not translated: give it probes and translation as needed",
  );
  draft.candidate.uplinkFarms[name] = farm.data satisfies UplinkFarm;
  reportTaken(draft, { ...item, target: `uplinkFarms.${name}`, notes });
}

/** Farms of this backup alone: one of the box is replaced, so that a backup can be read twice. */
function takenNames({ report: items }: Draft): Set<string> {
  return new Set(items.flatMap(({ target }) => (target?.startsWith("uplinkFarms.") ? target.slice(12) : [])));
}

function within(text: string, most: number, what: string, notes: string[]): number {
  const value = Number.parseInt(text, 10) || 1;
  if (value >= 1 && value <= most) return value;
  const taken = Math.min(most, Math.max(1, value));
  notes.push(`the ${what} ${value} is ${taken} here`);
  return taken;
}
