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
import { readTree } from "./tree.ts";

/** `steelyard config apply`, `verify` and `export`: configurations as files. */

export type ApplyOptions = ChangeOptions & { file: string; replace?: boolean };

/** Puts the objects of a file or a directory into the configuration, in one commit; with `replace` nothing else stays. */
export async function applyConfiguration(
  context: CommandContext,
  document: ApiDocument,
  { replace = false, file, ...options }: ApplyOptions,
): Promise<void> {
  const read = await readConfiguration(document, file);
  const { generation, configuration } = await readWhole(context);
  const wanted = replace ? read : mergeConfigurations(document, configuration, read);
  const message = options.message ?? `apply ${basename(file) === "-" ? "a configuration" : basename(file)}`;
  await commitWhole(context, wanted, { ...options, message, generation });
}

/**
 * Has the box check a configuration and changes nothing. Without a file that is its own, and whether every generation on its disk is
 * still what was committed. Throws `corrupt` with each that is not.
 */
export async function verifyConfiguration(
  context: CommandContext,
  document: ApiDocument,
  { file, replace = false }: Partial<ApplyOptions>,
): Promise<void> {
  const { generation, configuration } = await readWhole(context);
  const read = file === undefined ? {} : await readConfiguration(document, file);
  const wanted = replace ? read : mergeConfigurations(document, configuration, read);
  const { body } = await sendWhole(context, wanted, { generation, message: "verify", dryRun: true });
  const count = body.differences?.length ?? 0;
  const history = file === undefined ? await readVerdicts(context) : undefined;
  const found = history === undefined ? describeDifferences(count) : `${history.length} generations are whole`;
  const problems = history?.flatMap(({ generation: number, problem }) =>
    problem === undefined ? [] : { path: `generations.${number}`, message: problem },
  );
  const isWhole = problems === undefined || problems.length === 0;
  if (!(await printForPrograms(context, history === undefined ? body : { ...body, generations: history }))) {
    printWarnings(context.output, body.warnings);
    if (!context.quiet) context.output.print(`the configuration is valid${isWhole ? `; ${found}` : ""}`);
  }
  if (isWhole) return;
  throw new SteelyardError("corrupt", "generations are not what was committed", {
    problems: [...problems, { path: "", message: adviceOnDamage }],
  });
}

const adviceOnDamage =
  "what they hold cannot be trusted: the audit log has every change (steelyard access audit), and one that is whole can come back (steelyard config rollback)";

function describeDifferences(count: number): string {
  return `${count} ${count === 1 ? "object differs" : "objects differ"}`;
}

async function readVerdicts({
  client,
}: CommandContext): Promise<{ generation: number; problem?: string | undefined }[]> {
  const { body } = await client.call("get", "/api/v1/configuration/verify");
  return body.generations;
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

/** A configuration from one file, or from a directory of them. */
async function readConfiguration(document: ApiDocument, path: string): Promise<Fields> {
  const isDirectory = path !== "-" && (await stat(path).catch(() => undefined))?.isDirectory();
  return isDirectory ? await readTree(document, path) : await readObjectFile(path);
}
