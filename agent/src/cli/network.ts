import { SteelyardError } from "../errors.ts";
import { type ChangeOptions, type CommandContext, changeQuery, printForPrograms, reportChange } from "./context.ts";
import { readFields, withoutNulls } from "./fields.ts";
import { readTextFile } from "./file.ts";
import { printObject, printTable } from "./output.ts";

/** What `steelyard interface …` and `steelyard address …` do better than a command made from the API. */

const interfacePath = "/api/v1/network/interfaces/{interface}";
const addressesPath = "/api/v1/network/virtual-addresses";

/** Every link of the machine and every interface of the configuration, by name. */
export async function listInterfaces(context: CommandContext): Promise<void> {
  const { client, output } = context;
  const [configured, links] = await Promise.all([
    client.list("/api/v1/network/interfaces"),
    client.list("/api/v1/network/links"),
  ]);
  const names = [...new Set([...links, ...configured].map(({ name }) => name))].sort();
  if (await printForPrograms(context, { interfaces: configured, links }, names)) return;
  const rows = names.map((name) => {
    const link = links.find((each) => each.name === name);
    const settings = configured.find((each) => each.name === name);
    const method = settings && (settings.enabled ? `${settings.ipv4.method}/${settings.ipv6.method}` : "disabled");
    const speed = link?.speed === undefined ? undefined : `${link.speed} Mbit/s`;
    return [name, link?.state ?? "absent", method ?? "not configured", link?.addresses, link?.mac, speed, link?.driver];
  });
  printTable(output, ["NAME", "STATE", "IPV4/IPV6", "ADDRESSES", "MAC", "SPEED", "DRIVER"], rows);
}

export async function showInterface(context: CommandContext, name: string): Promise<void> {
  const { client, output } = context;
  const path = { interface: name };
  const settings = await orUndefined(client.call("get", interfacePath, { path }));
  const status = await orUndefined(client.call("get", `${interfacePath}/status`, { path }));
  if (!settings && !status) throw new SteelyardError("not-found", `there is no interface ${name}`);
  if (await printForPrograms(context, { configuration: settings?.body, status: status?.body })) return;
  printObject(output, { configuration: settings?.body ?? "(not configured)", status: status?.body ?? "(not present)" });
}

/** Changes an interface, and takes one into the configuration that was not in it. */
export async function setInterface(
  context: CommandContext,
  name: string,
  words: string[],
  options: ChangeOptions,
): Promise<void> {
  const fields = await readFields(context.client, `patch ${interfacePath}`, words, readTextFile);
  const [path, query] = [{ interface: name }, changeQuery(options)];
  const answer =
    (await orUndefined(context.client.call("patch", interfacePath, { path, query, body: fields }))) ??
    (await context.client.call("put", interfacePath, { path, query, body: withoutNulls(fields) as never }));
  await reportChange(context, answer, options.dryRun ?? false, `interface ${name} changed`);
}

export async function createAddress(
  context: CommandContext,
  name: string,
  address: string,
  words: string[],
  options: ChangeOptions & { interface: string },
): Promise<void> {
  const fields = await readFields(context.client, `post ${addressesPath}`, words, readTextFile);
  const body = { name, address, interface: options.interface, ...withoutNulls(fields) };
  const answer = await context.client.call("post", addressesPath, { query: changeQuery(options), body: body as never });
  await reportChange(context, answer, options.dryRun ?? false, `virtual address ${name} created`);
}

async function orUndefined<Result>(promise: Promise<Result>): Promise<Result | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof SteelyardError && error.code === "not-found") return undefined;
    throw error;
  }
}
