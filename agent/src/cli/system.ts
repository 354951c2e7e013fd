import { type CommandContext, printForPrograms } from "./context.ts";
import { joinPorts } from "./farm.ts";
import { paint, printTable } from "./output.ts";

/** `steelyard status` */

/** Above this a table of farms helps nobody. */
const greatestFarms = 50;

export async function showStatus(context: CommandContext): Promise<void> {
  const { client, output } = context;
  const { body: status } = await client.call("get", "/api/v1/system/status");
  const farms = await client.list("/api/v1/farms");
  // A data plane that cannot be read must not hide the rest.
  const found = await client
    .call("get", "/api/v1/status/farms", { query: { limit: greatestFarms } })
    .catch(() => undefined);
  const live = new Map(found?.body.items.map((each) => [each.name, each]));
  const states = farms.slice(0, greatestFarms).map((farm) => ({ farm, status: live.get(farm.name) }));
  const whole = { ...status, farms: states.map((each) => ({ ...each.farm, status: each.status })) };
  if (await printForPrograms(context, whole)) return;

  const style = status.health === "ok" ? "green" : "red";
  output.print(`${paint(output, "bold", status.hostname)}  ${paint(output, style, status.health)}`);
  for (const problem of status.problems) output.print(`problem     ${problem}`);
  for (const warning of status.warnings) output.print(`warning     ${warning}`);
  const slot = status.slot === undefined ? "" : `, slot ${status.slot.toUpperCase()}`;
  output.print(`version     ${status.version}${slot}`);
  if (status.node !== undefined) output.print(`node        ${status.node}`);
  output.print(`generation  ${status.generation}`);
  output.print(`uptime      ${formatDuration(status.uptime)}`);
  if (status.clock) output.print(`clock       ${describeClock(status.clock)}`);
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
    const where = `${farm.virtualAddresses.join(",")} ${joinPorts(farm)}`;
    return [farm.name, live?.state ?? "unknown", where, `${up}/${backends.length}`, connections];
  });
  printTable(output, ["FARM", "STATE", "LISTENS ON", "BACKENDS UP", "CONNECTIONS"], rows);
  if (farms.length > greatestFarms) output.print(`… and ${farms.length - greatestFarms} more`);
}

type Clock = { synchronized: boolean; stratum?: number; offset?: number; sources: { nts: boolean }[] };

export function describeClock({ synchronized, stratum, offset = 0, sources }: Clock): string {
  if (!synchronized) return `not synchronized, ${sources.length} ${sources.length === 1 ? "server" : "servers"}`;
  const nts = sources.some((each) => each.nts) ? ", NTS" : "";
  return `synchronized, stratum ${stratum}, ${(offset * 1000).toFixed(3)} ms off${nts}`;
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
