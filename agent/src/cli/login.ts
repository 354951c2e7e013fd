import { makeClient } from "../client/client.ts";
import { type Connection, splitUrl } from "../client/transport.ts";
import { readFingerprint, readRemoteFingerprint } from "../client/trust.ts";
import { UntrustedError } from "../client/untrusted.ts";
import { SteelyardError } from "../errors.ts";
import { type GlobalOptions, makeContext, printForPrograms, type Surroundings } from "./context.ts";
import { confirmOnTerminal, readSecret } from "./password.ts";
import { profileFile, readProfile, removeProfile, writeProfile } from "./profile.ts";

/** `steelyard login` and `steelyard logout` */

type LoginOptions = GlobalOptions & { user: string; key?: boolean; print?: boolean };

/**
 * Opens a session (or takes an API key) on another box and keeps it in a profile. A certificate no authority vouches for is
 * trusted by its fingerprint alone, after it was shown and somebody said yes, or when it was given.
 */
export async function logIn(
  surroundings: Surroundings,
  address: string | undefined,
  options: LoginOptions,
): Promise<void> {
  const { output, input, environment } = surroundings;
  const url = address ?? options.url ?? environment.STEELYARD_URL;
  if (url === undefined)
    throw new SteelyardError("bad-input", "expected the address of the box: steelyard login https://lb1:444");
  const fingerprint = await agreeOnFingerprint(surroundings, url, options.fingerprint);
  const connection: Connection = { socket: "", url, ...(fingerprint === undefined ? {} : { fingerprint }) };
  const token = options.key
    ? await checkKey(connection, await readSecret(input, "API key: "))
    : await openSession(connection, options.user, await readSecret(input, `Password of ${options.user}: `));
  if (options.print) {
    const context = await makeContext(surroundings, { ...options, socket: "/nowhere" });
    if (!(await printForPrograms(context, { token }))) output.print(token);
    return;
  }
  const kept = { url, token, ...(fingerprint === undefined ? {} : { fingerprint }) };
  const file = await writeProfile(environment, options.profile, kept);
  if (!options.quiet) output.print(`logged in; kept in ${file}`);
}

/** Ends the session of a profile and forgets it. */
export async function logOut(surroundings: Surroundings, options: GlobalOptions): Promise<void> {
  const { environment, output } = surroundings;
  const profile = await readProfile(environment, options.profile);
  if (!profile)
    throw new SteelyardError("not-found", `${profileFile(environment, options.profile)}: nobody is logged in`);
  // A session that ended already, a box that is gone or an API key must not keep the key on this computer.
  await makeClient({ socket: "", ...profile })
    .send("DELETE", "/api/v1/sessions")
    .catch((error: Error) => output.warn(`warning: the session could not be ended there: ${error.message}`));
  await removeProfile(environment, options.profile);
  if (!options.quiet) output.print(`logged out of ${profile.url}`);
}

async function agreeOnFingerprint(
  { output, input }: Surroundings,
  url: string,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined) return readFingerprint(given);
  const { host, port } = splitUrl(url);
  const { fingerprint, authorized } = await readRemoteFingerprint(host, port).catch((error: Error) => {
    throw new SteelyardError("not-ready", `cannot reach ${url}: ${error.message}`, { cause: error });
  });
  if (authorized) return undefined;
  output.warn(`No authority vouches for the certificate of ${host}. Its fingerprint (SHA-256) is\n  ${fingerprint}`);
  if (!input.isTTY)
    throw new UntrustedError(
      `compare it with its console, and pass it on when it is the same: --fingerprint ${fingerprint}`,
    );
  if (!(await confirmOnTerminal(input, "Is it the one that its console shows?")))
    throw new UntrustedError("nobody said yes to its certificate");
  return fingerprint;
}

async function openSession(connection: Connection, user: string, password: string): Promise<string> {
  const answer = await makeClient(connection).send<{ token: string }>("POST", "/api/v1/sessions", {
    body: { user, password },
  });
  return answer.body.token;
}

/** A key is good when the box says whose it is: that every key may ask, however little else it may. */
async function checkKey(connection: Connection, token: string): Promise<string> {
  await makeClient({ ...connection, token }).call("get", "/api/v1/access/me");
  return token;
}
