import * as fs from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "../adapters/files.ts";
import { defineSubsystem, type StepBase, type Subsystem } from "./subsystem.ts";

/** What the tests of the commit pipeline bring to a configuration. */

type WriteStep = StepBase & { kind: "write"; path: string; text: string };
type RemoveStep = StepBase & { kind: "remove"; path: string };

/** A subsystem as real as they get without a daemon: one file per farm below `directory`. A farm described `refuse` cannot be written. */
export function filesOf(name: string, dependsOn: string[], journal: string[] = []): Subsystem {
  const directory = `/run/${name}`;
  return defineSubsystem<Record<string, string>, WriteStep | RemoveStep>({
    name,
    dependsOn,
    verify: (configuration) =>
      Object.entries(configuration.farms).flatMap(([key, { description }]) => [
        ...(description === "wrong"
          ? [{ severity: "error" as const, path: `farms.${key}.description`, message: "expected another" }]
          : []),
        ...(description === "odd"
          ? [{ severity: "warning" as const, path: `farms.${key}.description`, message: "is odd" }]
          : []),
      ]),
    render: ({ farms }) =>
      Object.fromEntries(Object.entries(farms).map(([key, { description }]) => [key, description])),
    observe: async (machine) => {
      const names = await fs.readdir(machine.path(directory)).catch(() => []);
      const entries = names.map(async (each) => [each, await fs.readFile(machine.path(join(directory, each)), "utf8")]);
      return Object.fromEntries(await Promise.all(entries));
    },
    plan: (now, wanted) => [
      ...Object.keys(now)
        .filter((key) => !(key in wanted))
        .map((key): RemoveStep => ({ kind: "remove", summary: `remove ${key}`, path: join(directory, key) })),
      ...Object.entries(wanted)
        .filter(([key, text]) => now[key] !== text)
        .map(
          ([key, text]): WriteStep => ({ kind: "write", summary: `write ${key}`, path: join(directory, key), text }),
        ),
    ],
    executors: {
      write: async ({ path, text }, machine) => {
        journal.push(`${name} write ${path}`);
        if (text === `refuse ${name}`) throw new Error("the daemon says no");
        await writeAtomically(machine.path(path), text);
      },
      remove: async ({ path }, machine) => {
        journal.push(`${name} remove ${path}`);
        await fs.rm(machine.path(path));
      },
    },
  });
}
