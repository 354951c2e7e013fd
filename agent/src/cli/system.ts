import { type CommandContext, changeQuery, reportChange } from "./context.ts";
import { readFields } from "./fields.ts";
import { paint, printJson, printObject, printTable } from "./output.ts";

/** `steelyard status` and `steelyard system …` */

type SystemStatus = {
  hostname: string;
  version: string;
  slot?: string;
  uptime: number;
  memory: { total: number; available: number };
  load: number[];
  generation: number;
  health: string;
  units: { name: string; state: string }[];
};
type Farm = { name: string; virtualAddresses: string[]; ports: string[]; protocol: string };
type FarmStatus = { name: string; state: string; backends: { effective: string; connections: number }[] };

/** Above this a table of farms helps nobody. */
const greatestFarms = 50;

export async function showStatus({ client, output, json }: CommandContext): Promise<void> {
  const { body: status } = await client.send<SystemStatus>("GET", "/api/v1/system/status");
  const farms = await client.list<Farm>("/api/v1/farms");
  // A data plane that cannot be read must not hide the rest.
  const found = await client
    .send<{ items: FarmStatus[] }>("GET", `/api/v1/status/farms?limit=${greatestFarms}`)
    .then(({ body }) => new Map(body.items.map((each) => [each.name, each])))
    .catch(() => new Map<string, FarmStatus>());
  const states = farms.slice(0, greatestFarms).map((farm) => ({ farm, status: found.get(farm.name) }));
  if (json)
    return printJson(output, { ...status, farms: states.map((each) => ({ ...each.farm, status: each.status })) });

  const style = status.health === "ok" ? "green" : "red";
  output.print(`${paint(output, "bold", status.hostname)}  ${paint(output, style, status.health)}`);
  const slot = status.slot === undefined ? "" : `, slot ${status.slot.toUpperCase()}`;
  output.print(`version     ${status.version}${slot}`);
  output.print(`generation  ${status.generation}`);
  output.print(`uptime      ${formatDuration(status.uptime)}`);
  output.print(`load        ${status.load.map((each) => each.toFixed(2)).join(" ")}`);
  output.print(
    `memory      ${formatMebibytes(status.memory.available)} of ${formatMebibytes(status.memory.total)} available`,
  );
  if (status.units.length > 0) {
    output.print("");
    printTable(
      output,
      ["UNIT", "STATE"],
      status.units.map(({ name, state }) => [name, state]),
    );
  }
  output.print("");
  const rows = states.map(({ farm, status: live }) => {
    const backends = live?.backends ?? [];
    const up = backends.filter(({ effective }) => effective === "up").length;
    const connections = backends.reduce((sum, each) => sum + each.connections, 0);
    const where = `${farm.virtualAddresses.join(",")} ${farm.ports.join(",")}/${farm.protocol}`;
    return [farm.name, live?.state ?? "unknown", where, `${up}/${backends.length}`, connections];
  });
  printTable(output, ["FARM", "STATE", "LISTENS ON", "BACKENDS UP", "CONNECTIONS"], rows);
  if (farms.length > greatestFarms) output.print(`… and ${farms.length - greatestFarms} more`);
}

export async function showSystem({ client, output, json }: CommandContext): Promise<void> {
  const { body } = await client.send("GET", "/api/v1/system");
  if (json) return printJson(output, body);
  printObject(output, body);
}

export async function setSystem(
  context: CommandContext,
  words: string[],
  options: { dryRun?: boolean },
): Promise<void> {
  const patch = await readFields(context.client, "put /api/v1/system", words);
  const answer = await context.client.send("PATCH", `/api/v1/system${changeQuery(options)}`, patch);
  reportChange(context, answer, options.dryRun ?? false, "system changed");
}

/** Seconds as `3d 4h 5m`. */
function formatDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const parts = [
    [Math.floor(minutes / 1440), "d"],
    [Math.floor(minutes / 60) % 24, "h"],
    [minutes % 60, "m"],
  ] as const;
  const words = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`);
  return words.length > 0 ? words.join(" ") : `${Math.floor(seconds)}s`;
}

function formatMebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
