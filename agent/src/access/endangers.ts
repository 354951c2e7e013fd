import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";

const kinds = [
  { kind: "users", says: (name: string) => `how user ${name} logs in, or what this user may do, changes` },
  { kind: "groups", says: (name: string) => `what the group ${name} may do changes` },
  { kind: "roles", says: (name: string) => `what the role ${name} allows changes` },
  { kind: "directories", says: (name: string) => `whom the directory ${name} lets in changes` },
] as const;

/** How a change of accounts and rights can keep out whoever has them now. What is new takes nothing away. */
export function endangersAccess(before: Configuration, after: Configuration): string[] {
  return kinds.flatMap(({ kind, says }) => {
    const [one, other]: Record<string, object>[] = [before[kind], after[kind]];
    return Object.keys(one ?? {})
      .filter((name) => !isDeepStrictEqual(essence(one?.[name]), essence(other?.[name])))
      .map(says);
  });
}

/** All but the words that describe an object. */
function essence(object: object | undefined): object | undefined {
  return object && { ...object, description: "", fullName: "" };
}
