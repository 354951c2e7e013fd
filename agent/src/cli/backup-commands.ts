import type { Command } from "commander";
import type { Act } from "./commands.ts";
import { confirmWithinOption, dryRunOption, forceOption } from "./context.ts";
import { note } from "./notes.ts";

/** The words of `steelyard backup …`, `job follow` and `system factory-reset`, as far as they are not made from the API. */
export function addBackupCommands(program: Command, act: Act): void {
  const collect = (value: string, all: string[]) => [...all, value];
  const backup = program.command("backup").description("encrypted copies of the configuration and the keys");
  note(
    backup
      .command("create [name]")
      .description("make one and keep it on the box; asks for a passphrase unless it is for public keys")
      .option("--passphrase-file <file>", "its first line is the passphrase; - is standard input")
      .option("--recipient <age1…>", "public key it is for, in place of a passphrase (repeatable)", collect, [])
      .option("--no-identity", "without the certificate and key of the API and the host keys of SSH")
      .option("--history", "with the generations of before, to look up")
      .option("--output <file>", "and write it to this file")
      .option("--detach", "do not wait: print the id of the job")
      .option(...dryRunOption)
      .action(
        act(async (context, name: string | undefined, options: never) =>
          (await import("./backup.ts")).createBackup(context, name, options),
        ),
      ),
    {
      examples: [
        "steelyard backup create --output lb1.age",
        "steelyard backup create before-the-move --passphrase-file secret.txt --history",
      ],
    },
  );
  note(
    backup
      .command("restore <backup>")
      .description("restore one that is on the box, or with --from one of this computer")
      .option("--from <file>", "send this file to the box first, under the name given")
      .option("--passphrase-file <file>", "its first line is the passphrase; - is standard input")
      .option("--key-file <file>", "the age secret key, of a backup that was made for public keys")
      .option("--map <eth0=eth2>", "card of the backup and the one here in its place (repeatable)", collect, [])
      .option("--accept-proposals", "take the cards that are only proposed, too")
      .option("--identity", "take the certificate and key of the API and the host keys of SSH too")
      .option("--dry-run", "check everything, change nothing, show what would change")
      .option(...confirmWithinOption)
      .option(...forceOption)
      .action(
        act(async (context, name: string, options: never) =>
          (await import("./restore.ts")).restoreBackup(context, name, options),
        ),
      ),
    {
      examples: [
        "steelyard backup restore lb1-20260102-030405 --dry-run",
        "steelyard backup restore moved --from lb1.age --map eth0=ens192 --map eth1=ens224 --identity",
      ],
    },
  );
  note(
    backup
      .command("download <backup>")
      .description("fetch one, as it is: age --decrypt opens it on any computer")
      .requiredOption("--output <file>", "where to write it: never over a file that is there")
      .action(
        act(async (context, name: string, { output }: { output: string }) =>
          (await import("./backup.ts")).fetchBackup(context, name, output),
        ),
      ),
    { examples: ["steelyard backup download lb1-20260102-030405 --output lb1.age"] },
  );
  note(
    backup
      .command("upload <backup>")
      .description("bring one to the box under this name, to restore it")
      .requiredOption("--from <file>", "the backup; - is standard input")
      .option(...dryRunOption)
      .action(
        act(async (context, name: string, options: { from: string; dryRun?: boolean }) =>
          (await import("./backup.ts")).sendBackup(context, name, options),
        ),
      ),
    { examples: ["steelyard backup upload moved --from lb1.age"] },
  );
  note(
    backup
      .command("new-key")
      .description("make a key pair for scheduled backups: the secret key to a file, the public key to the screen")
      .requiredOption("--output <file>", "where the secret key goes: not on a box, and nobody can replace it")
      .action(act(async (context, options: never) => (await import("./backup.ts")).makeKey(context, options))),
    { examples: ["steelyard backup new-key --output backup-key.txt"] },
  );
  const job = program.command("job").description("what takes longer than a request");
  note(
    job
      .command("follow <job>")
      .description("show how far a job is until it has ended")
      .action(act(async (context, id: string) => (await import("./job.ts")).followJob(context, id))),
    { examples: ["steelyard job follow k7mq2xwp4a1c"] },
  );
  note(
    job
      .command("log <job>")
      .description("what a job wrote while it ran")
      .action(act(async (context, id: string) => (await import("./job.ts")).showLog(context, id))),
    { examples: ["steelyard job log k7mq2xwp4a1c"] },
  );
  note(
    program
      .command("system")
      .description("the box itself")
      .command("factory-reset")
      .description("take everything away and start again as the box came; asks for its host name")
      .option("--hostname <name>", "host name of the box, where nobody can be asked")
      .option("--keep <logs,backups>", "what stays, with commas between")
      .option(...dryRunOption)
      .action(act(async (context, options: never) => (await import("./reset.ts")).resetBox(context, options))),
    { examples: ["steelyard system factory-reset --keep logs", "steelyard system factory-reset --hostname lb1"] },
  );
}
