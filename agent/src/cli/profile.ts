import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { SteelyardError } from "../errors.ts";

/** Where `steelyard login` keeps which box to drive and with what key: a file of 0600 in a directory of 0700. */

export type Profile = { url: string; token: string; fingerprint?: string };

const defaultName = "default";

export function profileFile(environment: NodeJS.ProcessEnv, name = defaultName): string {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/.test(name))
    throw new SteelyardError("bad-input", `--profile ${name}: expected a name of letters, digits, dots and hyphens`);
  const base = environment.XDG_CONFIG_HOME || join(environment.HOME || homedir(), ".config");
  return join(base, "steelyard", `${name}.yaml`);
}

/** The names of all profiles. */
export async function listProfiles(environment: NodeJS.ProcessEnv): Promise<string[]> {
  const names = await readdir(dirname(profileFile(environment))).catch(() => []);
  return names.filter((each) => each.endsWith(".yaml")).map((each) => each.slice(0, -".yaml".length));
}

/** The profile of that name; undefined when the default one is wanted and there is none. Refuses one that others can read. */
export async function readProfile(environment: NodeJS.ProcessEnv, wanted?: string): Promise<Profile | undefined> {
  const name = wanted ?? environment.STEELYARD_PROFILE;
  const file = profileFile(environment, name);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" && name === undefined) return undefined;
    const words = error.code === "ENOENT" ? "there is no such profile; make it with: steelyard login" : error.message;
    throw new SteelyardError("bad-input", `--profile: ${file}: ${words}`, { cause: error });
  });
  if (text === undefined) return undefined;
  if (((await stat(file)).mode & 0o077) !== 0)
    throw new SteelyardError(
      "forbidden",
      `${file}: holds a key and others can read it; make it yours: chmod 600 ${file}`,
    );
  const { url, token, fingerprint } = (parse(text) ?? {}) as Partial<Profile>;
  if (typeof url !== "string" || typeof token !== "string")
    throw new SteelyardError("bad-input", `${file}: expected url and token`);
  return { url, token, ...(fingerprint === undefined ? {} : { fingerprint }) };
}

export async function writeProfile(
  environment: NodeJS.ProcessEnv,
  name: string | undefined,
  profile: Profile,
): Promise<string> {
  const file = profileFile(environment, name);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // Never in place: what is there may have another mode.
  const scratch = `${file}.new`;
  await rm(scratch, { force: true });
  await writeFile(scratch, stringify(profile), { mode: 0o600, flag: "wx" });
  await chmod(scratch, 0o600);
  await rename(scratch, file);
  return file;
}

export async function removeProfile(environment: NodeJS.ProcessEnv, name: string | undefined): Promise<boolean> {
  const file = profileFile(environment, name);
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  await rm(file, { force: true });
  return exists;
}
