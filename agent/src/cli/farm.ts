import { fillPath } from "../client/client.ts";
import type { ItemOf } from "../client/operations.ts";
import { SteelyardError } from "../errors.ts";
import { type ChangeOptions, type CommandContext, changeQuery, printForPrograms, reportChange } from "./context.ts";
import { type Fields, readFields, withoutNulls } from "./fields.ts";
import { readObjectFile, readTextFile } from "./file.ts";
import { type ListOptions, listObjects, readList } from "./generic.ts";
import { printObject, printTable } from "./output.ts";

/** What `steelyard farm …` does better than a command made from the API. */

type CreateOptions = ChangeOptions & { vip?: string[]; port?: string[]; backend?: string[]; from?: string };

const farmsPath = "/api/v1/farms";
const backendsPath = "/api/v1/farms/{farm}/backends";

export async function listFarms(context: CommandContext, options: ListOptions): Promise<void> {
  const { client, output } = context;
  if (options.fields !== undefined) return await listObjects(context, farmsPath, options);
  const farms = await readList(options, (query) => client.list(farmsPath, { query }));
  if (await printForPrograms(context, farms, namesOf(farms))) return;
  const rows = farms.map((farm) => {
    const all = Object.values(farm.backends);
    const up = all.filter(({ state }) => state === "up").length;
    const { name, profile, enabled, virtualAddresses, algorithm } = farm;
    return [name, profile, enabled, virtualAddresses, joinPorts(farm), algorithm, `${up}/${all.length}`];
  });
  printTable(output, ["NAME", "PROFILE", "ENABLED", "ADDRESSES", "PORTS", "ALGORITHM", "BACKENDS UP"], rows);
}

export function joinPorts({ ports, protocol }: Pick<ItemOf<typeof farmsPath>, "ports" | "protocol">): string {
  return `${ports.join(",")}/${protocol}`;
}

/** The farm as configured, and beside each backend what the data plane does with it. */
export async function showFarm(context: CommandContext, name: string): Promise<void> {
  const { client, output } = context;
  const { body: farm } = await client.call("get", "/api/v1/farms/{farm}", { path: { farm: name } });
  const status = await client
    .call("get", "/api/v1/farms/{farm}/status", { path: { farm: name } })
    .then(({ body }) => body)
    .catch((error: Error) => {
      output.warn(`warning: the data plane's state cannot be read: ${error.message}`);
      return undefined;
    });
  if (await printForPrograms(context, { ...farm, status })) return;
  const { backends, ...rest } = farm;
  printObject(output, { ...rest, status: status?.state });
  output.print("");
  const rows = Object.entries(backends).map(([key, { address, port, weight, priority, state }]) => {
    const live = status?.backends.find((each) => each.name === key);
    return [key, joinAddress(address, port), weight, priority, state, live?.effective, live?.connections];
  });
  printTable(output, ["BACKEND", "ADDRESS", "WEIGHT", "PRIORITY", "STATE", "EFFECTIVE", "CONNECTIONS"], rows);
}

/** A farm from a file, from options, or from both: options come on top of the file, fields on top of all. */
export async function createFarm(
  context: CommandContext,
  name: string,
  words: string[],
  options: CreateOptions,
): Promise<void> {
  const { vip = [], port = [], backend = [], from } = options;
  const base: Fields = from === undefined ? {} : await readObjectFile(from);
  const fields = await readFields(context.client, `post ${farmsPath}`, words, readTextFile);
  const backends: Fields = {};
  for (const text of backend) {
    const { key, object } = await readBackendOption(context, text);
    backends[key] = object;
  }
  const farm = {
    profile: "l4xnat",
    ...base,
    name,
    ...(vip.length > 0 ? { virtualAddresses: vip } : {}),
    ...(port.length > 0 ? { ports: port } : {}),
    ...(backend.length > 0 ? { backends: { ...(base.backends as Fields), ...backends } } : {}),
    ...withoutNulls(fields),
  };
  const answer = await context.client.send("POST", farmsPath, { query: changeQuery(options), body: farm });
  await reportChange(context, answer, options.dryRun ?? false, `farm ${name} created`);
}

export async function listBackends(context: CommandContext, farm: string, options: ListOptions): Promise<void> {
  const { client, output } = context;
  if (options.fields !== undefined) return await listObjects(context, fillPath(backendsPath, { farm }), options);
  const backends = await readList(options, (query) => client.list(backendsPath, { path: { farm }, query }));
  if (await printForPrograms(context, backends, namesOf(backends))) return;
  const rows = backends.map(({ name, address, port, weight, priority, state }) => [
    name,
    joinAddress(address, port),
    weight,
    priority,
    state,
  ]);
  printTable(output, ["NAME", "ADDRESS", "WEIGHT", "PRIORITY", "STATE"], rows);
}

export async function addBackend(
  context: CommandContext,
  farm: string,
  name: string,
  where: string,
  words: string[],
  options: ChangeOptions,
): Promise<void> {
  const fields = await readFields(context.client, `post ${backendsPath}`, words, readTextFile);
  const answer = await context.client.call("post", backendsPath, {
    path: { farm },
    query: changeQuery(options),
    body: { name, ...splitAddress(where), ...withoutNulls(fields) },
  });
  await reportChange(context, answer, options.dryRun ?? false, `backend ${farm}/${name} added`);
}

function namesOf(items: readonly { name: string }[]): string[] {
  return items.map(({ name }) => name);
}

/** `b1=198.51.100.1:80,weight=3` */
async function readBackendOption({ client }: CommandContext, text: string): Promise<{ key: string; object: Fields }> {
  const [first = "", ...words] = text.split(",");
  const [, key, where] = /^([^=]+)=(.+)$/.exec(first) ?? [];
  if (key === undefined || where === undefined)
    throw new SteelyardError(
      "bad-input",
      `--backend ${text}: expected name=address:port, like b1=198.51.100.1:80,weight=3`,
    );
  const fields = await readFields(client, `post ${backendsPath}`, words, readTextFile);
  return { key, object: { ...splitAddress(where), ...withoutNulls(fields) } };
}

/** `198.51.100.1:80`, `[2001:db8::1]:80`, or an address alone. What it is not, the box will say. */
function splitAddress(text: string): { address: string; port?: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return { address, ...(port === undefined ? {} : { port: Number(port) }) };
}

function joinAddress(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
