import type { RestoreReport } from "../backup/routes.ts";
import { SteelyardError } from "../errors.ts";
import { readPassphrase, sendBackup } from "./backup.ts";
import {
  type ChangeOptions,
  type CommandContext,
  changeQuery,
  printForPrograms,
  reportPlan,
  warnOfDeadline,
} from "./context.ts";
import { readTextFile } from "./file.ts";
import { type Output, printDifferences, printTable } from "./output.ts";

/** `steelyard backup restore` */

type Options = ChangeOptions & {
  from?: string;
  passphraseFile?: string;
  keyFile?: string;
  map: string[];
  acceptProposals?: boolean;
  identity?: boolean;
};

export async function restoreBackup(context: CommandContext, name: string, options: Options): Promise<void> {
  const { client, output } = context;
  const { from, keyFile, map, acceptProposals = false, identity = false } = options;
  const path = `/api/v1/system/backups/${encodeURIComponent(name)}`;
  const places = readMap(map);
  const key =
    keyFile === undefined
      ? { passphrase: await readPassphrase(context, options) }
      : { secretKey: await readSecretKey(keyFile) };
  if (from !== undefined) await sendBackup(context, name, { from });
  const wish = { query: changeQuery(options), body: { ...key, map: places, acceptProposals, identity } };
  let report: RestoreReport | undefined;
  try {
    report = (await client.send<RestoreReport>("POST", `${path}/restore`, wish)).body;
  } finally {
    // What was sent for a dry run, or for nothing, is cleared away: the same words can be typed again. What went wrong before says
    // more than that this could not be done.
    if (from !== undefined && !report?.restored)
      await client.send("DELETE", path).catch(() => output.warn(`warning: the backup ${name} stays on the box`));
  }
  if (await printForPrograms(context, report)) return;
  printReport(output, report);
  if (!report.restored) return printPlan(output, report);
  const { pending, generation } = report.plan ?? { generation: 0 };
  if (pending) warnOfDeadline(output, pending.deadline, pending.reasons);
  const keys = report.identity ? ", with the keys of the backup" : "";
  output.print(`restored as generation ${generation}${keys}`);
}

function printReport(output: Output, { manifest, nics }: RestoreReport): void {
  const { hostname, version, time, generation } = manifest;
  output.print(`backup of ${hostname}, ${time}: generation ${generation}, Steelyard ${version}`);
  const rows = nics.map(({ name, to = "", by, reason, candidates }) => [name, to, by, reason, candidates.join(" ")]);
  if (rows.length > 0) printTable(output, ["CARD", "BECOMES", "BY", "REASON", "CANDIDATES"], rows);
}

function printPlan(output: Output, { plan, differences, nics }: RestoreReport): void {
  if (plan) {
    printDifferences(output, differences);
    reportPlan(output, plan);
  }
  const open = nics.filter(({ by }) => by === "proposed" || by === "open").map(({ name }) => name);
  if (open.length > 0) {
    const words = open.map((name) => `--map ${name}=…`).join(" ");
    output.warn(`warning: not certain, so say it by ${words}${plan ? ", or by --accept-proposals" : ""}`);
  }
}

/** `eth0=eth2` */
function readMap(pairs: readonly string[]): Record<string, string> {
  const map = new Map<string, string>();
  for (const pair of pairs) {
    const [from = "", to = "", ...rest] = pair.split("=");
    if (from === "" || to === "" || rest.length > 0 || map.has(from))
      throw new SteelyardError("bad-input", `--map ${pair}: expected each card once, as eth0=eth2`);
    map.set(from, to);
  }
  return Object.fromEntries(map);
}

/** A file as age-keygen or `backup new-key` writes it: comments, and one key. */
async function readSecretKey(file: string): Promise<string> {
  const lines = (await readTextFile(file)).split(/\r?\n/).map((line) => line.trim());
  const key = lines.find((line) => line !== "" && !line.startsWith("#"));
  if (key === undefined) throw new SteelyardError("bad-input", `${file}: expected an age secret key`);
  return key;
}
