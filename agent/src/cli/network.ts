import { SteelyardError } from "../errors.ts";
import { type CommandContext, changeQuery, reportChange } from "./context.ts";
import { readFields, withoutNulls } from "./fields.ts";
import { printJson, printObject, printTable } from "./output.ts";

/** `steelyard interface …` and `steelyard address …` */

type ChangeOptions = { dryRun?: boolean };
type Family = { method: string; addresses: string[]; gateway?: string };
type Interface = { name: string; enabled: boolean; ipv4: Family; ipv6: Family };
type Link = { name: string; state: string; mac?: string; speed?: number; driver?: string; addresses: string[] };
type VirtualAddress = { name: string; enabled: boolean; interface: string; address: string };

const interfacesPath = "/api/v1/network/interfaces";
const addressesPath = "/api/v1/network/virtual-addresses";
const interfaceOperation = "put /api/v1/network/interfaces/{interface}";
const addressOperation = "put /api/v1/network/virtual-addresses/{address}";
const interfacePath = (name: string) => `${interfacesPath}/${encodeURIComponent(name)}`;
const addressPath = (name: string) => `${addressesPath}/${encodeURIComponent(name)}`;

/** Every link of the machine and every interface of the configuration, by name. */
export async function listInterfaces({ client, output, json }: CommandContext): Promise<void> {
  const [configured, links] = await Promise.all([
    client.list<Interface>(interfacesPath),
    client.list<Link>("/api/v1/network/links"),
  ]);
  if (json) return printJson(output, { interfaces: configured, links });
  const names = [...new Set([...links, ...configured].map(({ name }) => name))].sort();
  const rows = names.map((name) => {
    const link = links.find((each) => each.name === name);
    const settings = configured.find((each) => each.name === name);
    const method = settings && (settings.enabled ? `${settings.ipv4.method}/${settings.ipv6.method}` : "disabled");
    const speed = link?.speed === undefined ? undefined : `${link.speed} Mbit/s`;
    return [name, link?.state ?? "absent", method ?? "not configured", link?.addresses, link?.mac, speed, link?.driver];
  });
  printTable(output, ["NAME", "STATE", "IPV4/IPV6", "ADDRESSES", "MAC", "SPEED", "DRIVER"], rows);
}

export async function showInterface({ client, output, json }: CommandContext, name: string): Promise<void> {
  const settings = await orUndefined(client.send("GET", interfacePath(name)));
  const status = await orUndefined(client.send("GET", `${interfacePath(name)}/status`));
  if (!settings && !status) throw new SteelyardError("not-found", `there is no interface ${name}`);
  if (json) return printJson(output, { configuration: settings?.body, status: status?.body });
  printObject(output, { configuration: settings?.body ?? "(not configured)", status: status?.body ?? "(not present)" });
}

/** Changes an interface, and takes one into the configuration that was not in it. */
export async function setInterface(
  context: CommandContext,
  name: string,
  words: string[],
  options: ChangeOptions,
): Promise<void> {
  const fields = await readFields(context.client, interfaceOperation, words);
  const path = `${interfacePath(name)}${changeQuery(options)}`;
  const answer =
    (await orUndefined(context.client.send("PATCH", path, fields))) ??
    (await context.client.send("PUT", path, withoutNulls(fields)));
  reportChange(context, answer, options.dryRun ?? false, `interface ${name} changed`);
}

export async function listAddresses({ client, output, json }: CommandContext): Promise<void> {
  const addresses = await client.list<VirtualAddress>(addressesPath);
  if (json) return printJson(output, addresses);
  const rows = addresses.map(({ name, address, interface: on, enabled }) => [name, address, on, enabled]);
  printTable(output, ["NAME", "ADDRESS", "INTERFACE", "ENABLED"], rows);
}

export async function createAddress(
  context: CommandContext,
  name: string,
  address: string,
  words: string[],
  options: ChangeOptions & { interface: string },
): Promise<void> {
  const fields = await readFields(context.client, addressOperation, words);
  const object = { name, address, interface: options.interface, ...withoutNulls(fields) };
  const answer = await context.client.send("POST", `${addressesPath}${changeQuery(options)}`, object);
  reportChange(context, answer, options.dryRun ?? false, `virtual address ${name} created`);
}

export async function deleteAddress(context: CommandContext, name: string, options: ChangeOptions): Promise<void> {
  const answer = await context.client.send("DELETE", `${addressPath(name)}${changeQuery(options)}`);
  reportChange(context, answer, options.dryRun ?? false, `virtual address ${name} deleted`);
}

async function orUndefined<Result>(promise: Promise<Result>): Promise<Result | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof SteelyardError && error.code === "not-found") return undefined;
    throw error;
  }
}
