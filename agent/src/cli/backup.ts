import { writeFile } from "node:fs/promises";
import { SteelyardError } from "../errors.ts";
import type { Job } from "../jobs/schema.ts";
import { type CommandContext, changeQuery, type Plan, printForPrograms, reportChange } from "./context.ts";
import { readBytes, readTextFile } from "./file.ts";
import { waitForJob } from "./job.ts";
import { readSecret } from "./password.ts";
import { saveAnswer } from "./save.ts";

/** `steelyard backup create` and `backup new-key` */

type CreateOptions = {
  passphraseFile?: string;
  recipient: string[];
  identity: boolean;
  history?: boolean;
  output?: string;
  detach?: boolean;
  dryRun?: boolean;
};

export async function createBackup(
  context: CommandContext,
  name: string | undefined,
  options: CreateOptions,
): Promise<void> {
  const { client, output, quiet } = context;
  const { recipient, identity, history = false, detach = false } = options;
  if (detach && options.output !== undefined)
    throw new SteelyardError("bad-input", "--output: not with --detach, for there is no backup yet");
  const lock =
    recipient.length > 0 ? { recipients: recipient } : { passphrase: await readPassphrase(context, options, true) };
  const body = { ...lock, identity, history, ...(name === undefined ? {} : { name }) };
  if (options.dryRun) {
    const answer = await client.send<Plan>("POST", "/api/v1/system/backups", { query: { dryRun: "true" }, body });
    return await reportChange(context, answer, true, "");
  }
  const { body: job } = await client.send<Job>("POST", "/api/v1/system/backups", { body });
  if (detach) {
    if (!(await printForPrograms(context, job))) output.print(job.id);
    return;
  }
  const { result } = await waitForJob(context, job.id);
  const made = String(result?.name);
  if (options.output !== undefined) await fetchBackup(context, made, options.output);
  if (await printForPrograms(context, result)) return;
  const where = options.output === undefined ? "on the box" : `on the box and in ${options.output}`;
  output.print(quiet ? made : `backup ${made} is ${where}`);
}

export async function fetchBackup({ client }: CommandContext, name: string, file: string): Promise<void> {
  const path = `/api/v1/system/backups/${encodeURIComponent(name)}/file`;
  const { body } = await client.send("GET", path, { accept: "application/octet-stream" });
  await saveAnswer(file, body);
}

export async function sendBackup(
  context: CommandContext,
  name: string,
  { from: file, dryRun = false }: { from: string; dryRun?: boolean },
): Promise<void> {
  const answer = await context.client.send("PUT", `/api/v1/system/backups/${encodeURIComponent(name)}/file`, {
    query: changeQuery({ dryRun }),
    body: await readBytes(file),
    headers: { "Content-Type": "application/octet-stream" },
  });
  if (dryRun) await reportChange(context, answer, true, "");
}

/** From a file, or typed; twice where a mistake would show too late. Never from the command line: process lists show that. */
export async function readPassphrase(
  { input }: CommandContext,
  { passphraseFile }: { passphraseFile?: string },
  isNew = false,
): Promise<string> {
  if (passphraseFile !== undefined && passphraseFile !== "-") {
    const [line = ""] = (await readTextFile(passphraseFile)).split(/\r?\n/);
    return line;
  }
  const passphrase = await readSecret(input, "Passphrase of the backup: ");
  if (isNew && input.isTTY && (await readSecret(input, "The same again: ")) !== passphrase)
    throw new SteelyardError("bad-input", "these were not the same");
  return passphrase;
}

/** Made on the computer of whoever types, which is where the secret key stays. */
export async function makeKey(context: CommandContext, { output: file }: { output: string }): Promise<void> {
  const { generateX25519Identity, identityToRecipient } = await import("age-encryption");
  const secretKey = await generateX25519Identity();
  const publicKey = await identityToRecipient(secretKey);
  const text = `# public key: ${publicKey}\n${secretKey}\n`;
  await writeFile(file, text, { mode: 0o600, flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    const words = error.code === "EEXIST" ? "there is such a file already" : error.message;
    throw new SteelyardError("bad-input", `--output ${file}: ${words}`, { cause: error });
  });
  if (await printForPrograms(context, { publicKey, file })) return;
  context.output.print(publicKey);
}
