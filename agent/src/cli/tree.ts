import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { badInput, type Problem, SteelyardError } from "../errors.ts";
import type { Fields } from "./fields.ts";
import { readObjectFile } from "./file.ts";
import type { ApiDocument } from "./model.ts";
import { listParts } from "./transaction.ts";

/**
 * A configuration from a directory with one file per object, as `config export` writes it (`virtualAddresses/web.yaml`), or as a
 * generation and a backup have it (`network/virtual-addresses/web.yaml`). Whatever else is YAML there has no place in a configuration,
 * and is refused: a file that is passed over is an object that somebody misses. Throws `bad-input` with every file that is wrong.
 */
export async function readTree(document: ApiDocument, directory: string): Promise<Fields> {
  const parts = listParts(document);
  const places = new Map(
    [...parts].flatMap(([part, place]) => (place === undefined ? [] : [[part, part] as const, [place, part] as const])),
  );
  const singles = new Map<string, unknown>();
  const members = new Map<string, Map<string, unknown>>();
  const origins = new Map<string, string>();
  const problems: Problem[] = [];

  const keep = (part: string, name: string | undefined, object: unknown, path: string) => {
    const key = name === undefined ? part : `${part}.${name}`;
    const other = origins.get(key);
    if (other !== undefined) {
      problems.push({ path, message: `${key} stands in ${other} already` });
      return;
    }
    origins.set(key, path);
    if (name === undefined) singles.set(part, object);
    else members.set(part, (members.get(part) ?? new Map()).set(name, object));
  };

  const take = async (path: string) => {
    const [place, name] = [dirname(path), withoutEnding(basename(path))];
    const part = place === "." ? name : places.get(place);
    // Of a generation: who made it, and when.
    if (path === "generation.yaml") return;
    if (part === undefined || !parts.has(part)) {
      problems.push({
        path: join(directory, path),
        message: `it has no place here: expected ${describePlaces(parts)}`,
      });
      return;
    }
    const object = await readObjectFile(join(directory, path));
    if (place !== ".") keep(part, name, object, join(directory, path));
    else if (parts.get(part) === undefined) keep(part, undefined, object, join(directory, path));
    else for (const [each, member] of Object.entries(object)) keep(part, each, member, join(directory, path));
  };

  const paths = await listYaml(directory);
  if (paths.length === 0) throw new SteelyardError("bad-input", `${directory}: expected a YAML file for each object`);
  for (const path of paths)
    await take(path).catch((error) => {
      if (!(error instanceof SteelyardError)) throw error;
      problems.push(...(error.problems.length > 0 ? error.problems : [{ path: "", message: error.message }]));
    });
  if (problems.length > 0) throw badInput(problems);
  const collected = [...members].map(([part, objects]) => [part, Object.fromEntries(objects)]);
  return Object.fromEntries([...singles, ...collected]);
}

function describePlaces(parts: ReadonlyMap<string, string | undefined>): string {
  const files = [...parts].map(([part, place]) => (place === undefined ? `${part}.yaml` : `${part}/NAME.yaml`));
  return files.join(", ");
}

/** Paths below the directory in their order, without what editors and version control leave there. */
async function listYaml(directory: string, below = ""): Promise<string[]> {
  const entries = await readdir(join(directory, below), { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(below, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) found.push(...(await listYaml(directory, path)));
    else if (ending.test(entry.name)) found.push(path);
  }
  return found;
}

const ending = /\.(?:ya?ml|json)$/;
const withoutEnding = (name: string) => name.replace(ending, "");
