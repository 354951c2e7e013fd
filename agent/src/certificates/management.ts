import { createPrivateKey, X509Certificate } from "node:crypto";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Configuration } from "../configuration/schema.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { findProblems, readFacts } from "./inspect.ts";
import { makePrivateKey, makeSelfSigned } from "./request.ts";
import { describeExpiry, describeState, stateOf } from "./validity.ts";

/**
 * The certificate the management API shows: the one that `system.management.certificate` names, or else a self-signed one of
 * this very box, made on the first boot. A configured one that cannot be used is no reason to be unreachable: then the
 * self-signed one is shown, and the system's status says why.
 */

const directory = "/config/local/api";
export const keyPath = `${directory}/key.pem`;
export const certificatePath = `${directory}/certificate.pem`;
/** What is shown now; for the console, which asks without logging in. */
const shownPath = "/run/steelyard/management-certificate.pem";
/** The longest that Apple's systems take from anybody (support.apple.com/103769), and so the longest that browsers there let pass. */
const validDays = 825;

export type ManagementCertificate = {
  /** PEM. */
  key: string;
  /** PEM, with the authorities behind it. */
  certificate: string;
  /** SHA-256 of the certificate, `AB:CD:…`, as browsers and `openssl x509 -fingerprint -sha256` show it. */
  fingerprint: string;
};

export type ShownCertificate = ManagementCertificate & {
  /** Of the configuration; none for the self-signed one. */
  name?: string;
  /** Why the configured one is not shown. */
  reason?: string;
};

export type ManagementCertificates = {
  /** What is to be shown by the configuration of now; when a server has refused it, for which reason. */
  choose(refused?: string): Promise<ShownCertificate>;
  /** Tells what is shown from now on. */
  note(shown: ShownCertificate): Promise<void>;
  /** Makes a new key and a new self-signed certificate, whether the old ones are damaged or not. */
  regenerate(): Promise<void>;
  /** What an operator has to do something about, and what soon: of the certificate shown, and of all others. */
  describe(now: Date): { problems: string[]; warnings: string[] };
};

export function makeManagementCertificates(
  machine: Machine,
  configuration: () => Pick<Configuration, "system" | "certificates">,
): ManagementCertificates {
  let shown: ShownCertificate | undefined;

  async function selfSigned(): Promise<ManagementCertificate> {
    return await ensureManagementCertificate(machine, configuration().system.hostname);
  }

  return {
    async choose(refused) {
      const { system, certificates } = configuration();
      const name = system.management.certificate;
      if (name === undefined) return await selfSigned();
      const object = Object.hasOwn(certificates, name) ? certificates[name] : undefined;
      const reason = refused ?? (object ? findProblems(object)[0]?.message : `there is no certificate ${name}`);
      if (reason === undefined && object?.certificate !== undefined) {
        const { certificate, key } = object;
        return { name, certificate, key, fingerprint: readFacts(certificate).fingerprint };
      }
      return { ...(await selfSigned()), reason: `${name}: ${reason ?? "it is a request still"}` };
    },
    async note(now) {
      shown = now;
      const { name, reason, fingerprint } = now;
      if (reason !== undefined)
        machine.log.error(`api: the configured certificate cannot be used (${reason}): the self-signed one is shown`);
      machine.log.info(`api: shows the certificate ${name ?? "of its own"}, SHA-256 ${fingerprint}`);
      await writeAtomically(machine.path(shownPath), now.certificate);
    },
    async regenerate() {
      const key = await makePrivateKey("ecdsa-p256");
      const certificate = await makeSelfSigned(machine, key, configuration().system.hostname, validDays);
      // A power cut in between leaves a pair that does not belong together, which is reported and made anew the same way.
      await writeAtomically(machine.path(keyPath), key, 0o600);
      await writeAtomically(machine.path(certificatePath), certificate);
    },
    describe(now) {
      const others = describeExpiry(configuration(), now, shown?.name);
      if (!shown) return { problems: [], warnings: others };
      const facts = readFacts(shown.certificate);
      const what =
        shown.name === undefined
          ? "the self-signed certificate of the API"
          : `the certificate of the API (${shown.name})`;
      const words = describeState(what, facts, now);
      const soon = stateOf(facts, now) === "expiring";
      const unusable =
        shown.reason === undefined
          ? []
          : [`the API shows its self-signed certificate, for the configured one cannot be used: ${shown.reason}`];
      return { problems: [...unusable, ...(soon ? [] : words)], warnings: [...(soon ? words : []), ...others] };
    },
  };
}

/**
 * Reads the self-signed certificate and its key; what is missing is made. Each file is whole or missing even after a power
 * cut, so a damaged one was damaged by something else: it is reported (`corrupt`), not replaced behind the operator's back.
 */
export async function ensureManagementCertificate(machine: Machine, hostname: string): Promise<ManagementCertificate> {
  const key = (await readTextIfExists(machine.path(keyPath))) ?? (await makeKey(machine));
  const certificate =
    (await readTextIfExists(machine.path(certificatePath))) ?? (await makeCertificate(machine, key, hostname));
  return { key, certificate, fingerprint: fingerprintOf(certificate, key) };
}

/** The fingerprint the API shows, for the console; undefined before the first boot has made a certificate. */
export async function readManagementFingerprint(machine: Machine): Promise<string | undefined> {
  const certificate =
    (await readTextIfExists(machine.path(shownPath))) ?? (await readTextIfExists(machine.path(certificatePath)));
  return certificate === undefined ? undefined : fingerprintOf(certificate);
}

function fingerprintOf(certificate: string, key?: string): string {
  try {
    const parsed = new X509Certificate(certificate);
    if (key === undefined || parsed.checkPrivateKey(createPrivateKey(key))) return parsed.fingerprint256;
  } catch (error) {
    throw damaged(error);
  }
  throw damaged(new Error("the key does not belong to the certificate"));
}

function damaged(cause: unknown): SteelyardError {
  const words = messageOf(cause);
  return new SteelyardError(
    "corrupt",
    `the management certificate in ${directory} is damaged (${words}): have a new one made with steelyard system certificate regenerate`,
    { cause },
  );
}

async function makeKey(machine: Machine): Promise<string> {
  const key = await makePrivateKey("ecdsa-p256");
  await writeAtomically(machine.path(keyPath), key, 0o600);
  return key;
}

async function makeCertificate(machine: Machine, key: string, hostname: string): Promise<string> {
  const certificate = await makeSelfSigned(machine, key, hostname, validDays).catch((error) => {
    throw damaged(error);
  });
  await writeAtomically(machine.path(certificatePath), certificate, 0o644);
  machine.log.info(`made the management certificate for ${hostname}: SHA-256 ${fingerprintOf(certificate)}`);
  return certificate;
}
