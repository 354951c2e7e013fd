import type { Machine } from "../adapters/machine.ts";
import type { Author, ConfigurationControl } from "../commit/control.ts";
import { SteelyardError } from "../errors.ts";
import { keepBackup, listBackups } from "./apply.ts";
import { type BackupSource, describeBackup, sizeInArchive, writeBackup } from "./contents.ts";
import type { Lock } from "./encryption.ts";
import { readIdentityFiles } from "./identity/apply.ts";
import type { BackupNic } from "./schema.ts";
import type { StoredBackup } from "./stored.ts";

/** What a backup is made of and with. */
export type BackupContext = {
  machine: Machine;
  control: ConfigurationControl;
  /** Of the appliance. */
  version: string;
  readNics(): Promise<BackupNic[]>;
};

export type BackupWish = {
  /** Left out, the host name and the time are it. */
  name?: string | undefined;
  lock: Lock;
  origin: "made" | "scheduled";
  identity: boolean;
  history: boolean;
};

/** Progress of a job; `log` takes a line for people. */
export type Progress = {
  step(step: string, done?: number, total?: number): void;
  log(text: string): void;
};

/**
 * Bytes of older generations in the archive, which is made in memory: with many objects the newest of them are enough to look
 * things up. Of 1,000 farms with ten backends these are six.
 */
const greatestHistory = 16 * 1024 * 1024;

/** Makes a backup of the box as it is now, and keeps it. Nothing of the lock is in what comes back. */
export async function makeBackup(
  context: BackupContext,
  { name: wanted, lock, origin, identity, history }: BackupWish,
  progress: Progress,
): Promise<StoredBackup> {
  const { machine, control, version } = context;
  progress.step("collect", 0, 3);
  const time = machine.now();
  const { generation, configuration } = control.current();
  const source: BackupSource = {
    version,
    time,
    generation,
    configuration,
    nics: await context.readNics(),
    identity: identity ? await readIdentityFiles(machine) : [],
    history: history ? await readHistory(control, generation, progress) : [],
  };
  progress.step("encrypt", 1, 3);
  const data = await writeBackup(source, lock, machine.randomBytes);
  progress.step("write", 2, 3);
  const about = describeBackup(source);
  const name = wanted ?? (await chooseName(machine, about.hostname, time));
  const { hostname, history: generations } = about;
  const kept = await keepBackup(
    machine,
    {
      name,
      time: time.toISOString(),
      origin,
      hostname,
      version,
      generation,
      identity: about.identity,
      history: generations,
    },
    data,
  );
  progress.step("done", 3, 3);
  return kept;
}

async function readHistory(control: ConfigurationControl, current: number, progress: Progress) {
  const found: BackupSource["history"][number][] = [];
  let bytes = 0;
  for (const record of await control.history()) {
    if (record.generation === current) continue;
    try {
      const configuration = await control.read(record.generation);
      bytes += sizeInArchive(configuration);
      if (bytes > greatestHistory) {
        progress.log(`generation ${record.generation} and older ones are left out: there is room for 16 MiB of them`);
        break;
      }
      found.push({ record, configuration });
    } catch (error) {
      const words = error instanceof SteelyardError ? error.message : String(error);
      progress.log(`generation ${record.generation} is left out: ${words}`);
    }
  }
  return found;
}

/** `lb1-20260102-030405`, in UTC; with a number behind it when that is taken. */
async function chooseName(machine: Machine, hostname: string, time: Date): Promise<string> {
  const [label = "steelyard"] = hostname.toLowerCase().split(".");
  const stamp = time.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  const base = `${label.slice(0, 40)}-${stamp}`;
  const taken = new Set((await listBackups(machine)).map(({ name }) => name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** Who makes what nobody asked for. */
export const scheduler: Author = { user: "agent", source: "timer" };
