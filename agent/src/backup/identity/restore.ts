import type { ApiContext } from "../../api/context.ts";
import type { IdentityFile } from "../contents.ts";
import { writeIdentityFiles } from "./apply.ts";

type Context = Pick<ApiContext, "machine" | "renewCertificate">;

const ssh = "ssh.service";

/** Has those who use the keys read them anew. Connections that are open go on. */
async function renew({ machine, renewCertificate }: Context): Promise<void> {
  await renewCertificate();
  if (await machine.systemd.isActive(ssh)) await machine.systemd.reload(ssh);
}

/** Puts the keys of a backup in place for a change, and the box's own back when the change fails. */
export async function withIdentity<Result>(
  context: Context,
  files: readonly IdentityFile[],
  change: () => Promise<Result>,
): Promise<Result> {
  if (files.length === 0) return await change();
  const undo = await writeIdentityFiles(context.machine, files);
  let result: Result;
  try {
    result = await change();
  } catch (error) {
    await undo();
    throw error;
  }
  await renew(context);
  context.machine.log.warn("identity: certificate, key and host keys are those of a backup now");
  return result;
}
