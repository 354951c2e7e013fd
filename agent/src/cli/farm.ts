import { SteelyardError } from "../errors.ts";
import { type CommandContext, changeQuery, reportChange } from "./context.ts";
import { type Fields, readFields, withoutNulls } from "./fields.ts";
import { printJson, printObject, printTable } from "./output.ts";

/** `steelyard farm …` */

type Backend = { name: string; address: string; port?: number; weight: number; priority: number; state: string };
type Farm = {
  name: string;
  profile: string;
  enabled: boolean;
  virtualAddresses: string[];
  ports: string[];
  protocol: string;
  algorithm: string;
  backends: Record<string, Omit<Backend, "name">>;
};
type FarmStatus = { state: string; backends: { name: string; effective: string; connections: number }[] };

type ChangeOptions = { dryRun?: boolean };
type CreateOptions = ChangeOptions & { vip: string[]; port: string[]; backend: string[]; file?: string };

const farmsPath = "/api/v1/farms";
const farmOperation = "put /api/v1/farms/{farm}";
const backendOperation = "put /api/v1/farms/{farm}/backends/{backend}";
const farmPath = (name: string) => `${farmsPath}/${encodeURIComponent(name)}`;
const backendPath = (farm: string, name: string) => `${farmPath(farm)}/backends/${encodeURIComponent(name)}`;

export async function listFarms({ client, output, json }: CommandContext): Promise<void> {
  const farms = await client.list<Farm>(farmsPath);
  if (json) return printJson(output, farms);
  const rows = farms.map(({ name, profile, enabled, virtualAddresses, ports, protocol, algorithm, backends }) => {
    const all = Object.values(backends);
    const up = all.filter(({ state }) => state === "up").length;
    return [
      name,
      profile,
      enabled,
      virtualAddresses,
      `${ports.join(",")}/${protocol}`,
      algorithm,
      `${up}/${all.length}`,
    ];
  });
  printTable(output, ["NAME", "PROFILE", "ENABLED", "ADDRESSES", "PORTS", "ALGORITHM", "BACKENDS UP"], rows);
}

/** The farm as configured, and beside each backend what the data plane does with it. */
export async function showFarm({ client, output, json }: CommandContext, name: string): Promise<void> {
  const { body: farm } = await client.send<Farm>("GET", farmPath(name));
  const status = await client
    .send<FarmStatus>("GET", `${farmPath(name)}/status`)
    .then(({ body }) => body)
    .catch((error: Error) => {
      output.warn(`warning: the data plane's state cannot be read: ${error.message}`);
      return undefined;
    });
  if (json) return printJson(output, { ...farm, status });
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
  const { vip, port, backend, file, dryRun = false } = options;
  const base: Fields = file === undefined ? {} : await (await import("./file.ts")).readObjectFile(file);
  const fields = await readFields(context.client, farmOperation, words);
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
  const answer = await context.client.send("POST", `${farmsPath}${changeQuery(options)}`, farm);
  reportChange(context, answer, dryRun, `farm ${name} created`);
}

export async function setFarm(
  context: CommandContext,
  name: string,
  words: string[],
  options: ChangeOptions,
): Promise<void> {
  const patch = await readFields(context.client, farmOperation, words);
  const answer = await context.client.send("PATCH", `${farmPath(name)}${changeQuery(options)}`, patch);
  reportChange(context, answer, options.dryRun ?? false, `farm ${name} changed`);
}

export async function deleteFarm(context: CommandContext, name: string, options: ChangeOptions): Promise<void> {
  const answer = await context.client.send("DELETE", `${farmPath(name)}${changeQuery(options)}`);
  reportChange(context, answer, options.dryRun ?? false, `farm ${name} deleted`);
}

export async function listBackends({ client, output, json }: CommandContext, farm: string): Promise<void> {
  const backends = await client.list<Backend>(`${farmPath(farm)}/backends`);
  if (json) return printJson(output, backends);
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
  const fields = await readFields(context.client, backendOperation, words);
  const backend = { name, ...splitAddress(where), ...withoutNulls(fields) };
  const answer = await context.client.send("POST", `${farmPath(farm)}/backends${changeQuery(options)}`, backend);
  reportChange(context, answer, options.dryRun ?? false, `backend ${farm}/${name} added`);
}

export async function setBackend(
  context: CommandContext,
  farm: string,
  name: string,
  words: string[],
  options: ChangeOptions,
): Promise<void> {
  const patch = await readFields(context.client, backendOperation, words);
  const answer = await context.client.send("PATCH", `${backendPath(farm, name)}${changeQuery(options)}`, patch);
  reportChange(context, answer, options.dryRun ?? false, `backend ${farm}/${name} changed`);
}

export async function removeBackend(
  context: CommandContext,
  farm: string,
  name: string,
  options: ChangeOptions,
): Promise<void> {
  const answer = await context.client.send("DELETE", `${backendPath(farm, name)}${changeQuery(options)}`);
  reportChange(context, answer, options.dryRun ?? false, `backend ${farm}/${name} removed`);
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
  const fields = await readFields(client, backendOperation, words);
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
