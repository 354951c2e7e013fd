import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";

/** How a change of uplinks can take the way of the answers to whoever manages the box. */
export function endangersUplinks(before: Configuration, after: Configuration): string[] {
  const managed = (configuration: Configuration) => {
    const { interfaces } = configuration.system.management;
    return Object.values(configuration.uplinkFarms)
      .filter(({ enabled }) => enabled)
      .flatMap(({ box, uplinks }) => {
        const near = Object.values(uplinks).filter((each) => interfaces.includes(each.interface));
        return box || near.length > 0 ? [{ box, near: near.map((each) => ({ ...each, description: "" })) }] : [];
      });
  };
  if (before.system.management.interfaces.length === 0) return [];
  if (isDeepStrictEqual(managed(before), managed(after))) return [];
  return ["an uplink on an interface that is used for management changes, or what the box itself uses"];
}
