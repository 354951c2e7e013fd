import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { stringify } from "yaml";
import { SteelyardError } from "../errors.ts";
import { type ChangeOptions, type CommandContext, printForPrograms } from "./context.ts";
import type { Fields } from "./fields.ts";
import { readObjectFile } from "./file.ts";
import type { ApiDocument } from "./model.ts";
import { printWarnings } from "./output.ts";
import { commitWhole, listCollections, mergeConfigurations, readWhole, sendWhole } from "./transaction.ts";

/** `steelyard config apply`, `verify` and `export`: configurations as files. */

export type ApplyOptions = ChangeOptions & { file: string; replace?: boolean };

/** Puts the objects of a file or a directory into the configuration, in one commit; with `replace` nothing else stays. */
export async function applyConfiguration(
  context: CommandContext,
  document: ApiDocument,
  { replace = false, file, ...options }: ApplyOptions,
): Promise<void> {
  const read = await readConfiguration(file);
  const { generation, configuration } = await readWhole(context);
  const wanted = replace ? read : mergeConfigurations(document, configuration, read);
  const message = options.message ?? `apply ${basename(file) === "-" ? "a configuration" : basename(file)}`;
  await commitWhole(context, wanted, { ...options, message, generation });
}

/** Has the box check a configuration, its own when there is no file, and changes nothing. */
export async function verifyConfiguration(
  context: CommandContext,
  document: ApiDocument,
  { file, replace = false }: Partial<ApplyOptions>,
): Promise<void> {
  const { generation, configuration } = await readWhole(context);
  const read = file === undefined ? {} : await readConfiguration(file);
  const wanted = replace ? read : mergeConfigurations(document, configuration, read);
  const { body } = await sendWhole(context, wanted, { generation, message: "verify", dryRun: true });
  if (await printForPrograms(context, body)) return;
  printWarnings(context.output, body.warnings);
  const count = body.differences?.length ?? 0;
  const differs = file === undefined ? "" : `; ${count} ${count === 1 ? "object differs" : "objects differ"}`;
  if (!context.quiet) context.output.print(`the configuration is valid${differs}`);
}

/** Writes one file per object, as `apply` reads them: `farms/web.yaml`, `system.yaml`. */
export async function exportConfiguration(
  context: CommandContext,
  document: ApiDocument,
  directory: string,
): Promise<void> {
  const { generation, configuration } = await readWhole(context);
  const collections = listCollections(document);
  const files = Object.entries(configuration).flatMap(([part, value]) =>
    collections.includes(part)
      ? Object.entries(value as Fields).map(([name, object]) => ({ path: join(part, `${name}.yaml`), object }))
      : [{ path: `${part}.yaml`, object: value }],
  );
  await requireEmpty(directory);
  for (const { path, object } of files) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, stringify(object, { lineWidth: 0 }), { mode: 0o600, flag: "wx" });
  }
  if (!context.quiet) context.output.print(`generation ${generation}: ${files.length} objects in ${directory}`);
}

/** Files of other times beside the exported ones would come back with the next `apply`. */
async function requireEmpty(directory: string): Promise<void> {
  const found = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new SteelyardError("bad-input", `${directory}: ${error.message}`, { cause: error });
  });
  if (found.length > 0)
    throw new SteelyardError("bad-input", `${directory}: expected a directory that is empty or new`);
}

/** A configuration from one file, or from a directory as {@link exportConfiguration} writes it. */
async function readConfiguration(path: string): Promise<Fields> {
  const isDirectory = path !== "-" && (await stat(path).catch(() => undefined))?.isDirectory();
  if (!isDirectory) return await readObjectFile(path);
  const configuration: Fields = {};
  for (const entry of await listDirectory(path)) {
    if (entry.isDirectory()) {
      const objects: Fields = {};
      for (const { name } of await listDirectory(join(path, entry.name)))
        if (isYaml(name)) objects[withoutEnding(name)] = await readObjectFile(join(path, entry.name, name));
      configuration[entry.name] = objects;
    } else if (isYaml(entry.name)) {
      configuration[withoutEnding(entry.name)] = await readObjectFile(join(path, entry.name));
    }
  }
  return configuration;
}

/** Without what editors and version control leave there. */
async function listDirectory(path: string) {
  return (await readdir(path, { withFileTypes: true })).filter(({ name }) => !name.startsWith("."));
}

const isYaml = (name: string) => /\.(?:ya?ml|json)$/.test(name);
const withoutEnding = (name: string) => name.replace(/\.(?:ya?ml|json)$/, "");
