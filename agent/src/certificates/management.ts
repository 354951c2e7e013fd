import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf, SteelyardError } from "../errors.ts";

/** The certificate the management API shows until the operator brings one: self-signed, made on the first boot. */

const directory = "/config/local/api";
const keyPath = `${directory}/key.pem`;
const certificatePath = `${directory}/certificate.pem`;
const validDays = 3650;

export type ManagementCertificate = {
  /** PEM. */
  key: string;
  certificate: string;
  /** SHA-256 of the certificate, `AB:CD:…`, as browsers and `openssl x509 -fingerprint -sha256` show it. */
  fingerprint: string;
};

/**
 * Reads the certificate and its key; what is missing is made. Each file is whole or missing even after a power cut, so a
 * damaged one was damaged by something else: it is reported (`corrupt`), not replaced behind the operator's back.
 */
export async function ensureManagementCertificate(machine: Machine, hostname: string): Promise<ManagementCertificate> {
  const key = (await readTextIfExists(machine.path(keyPath))) ?? (await makeKey(machine));
  const certificate =
    (await readTextIfExists(machine.path(certificatePath))) ?? (await makeCertificate(machine, hostname));
  return { key, certificate, fingerprint: fingerprintOf(certificate, key) };
}

/** The certificate's fingerprint for the console; undefined before the first boot has made it. */
export async function readManagementFingerprint(machine: Machine): Promise<string | undefined> {
  const certificate = await readTextIfExists(machine.path(certificatePath));
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
    `the management certificate in ${directory} is damaged (${words}): remove key.pem and certificate.pem there and restart the agent to have new ones made`,
    { cause },
  );
}

async function makeKey(machine: Machine): Promise<string> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await writeAtomically(machine.path(keyPath), key, 0o600);
  return key;
}

/** openssl(1) reads the key from its file, so it never appears in an argument list. */
async function makeCertificate(machine: Machine, hostname: string): Promise<string> {
  const { stdout } = await machine.run([
    "openssl",
    ...["req", "-x509", "-new", "-sha256", "-key", machine.path(keyPath), "-days", String(validDays)],
    ...["-subj", `/CN=${commonName(hostname)}`],
    ...["-addext", `subjectAltName=DNS:${hostname}`],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-addext", "keyUsage=critical,digitalSignature"],
    ...["-addext", "extendedKeyUsage=serverAuth"],
  ]);
  await writeAtomically(machine.path(certificatePath), stdout, 0o644);
  machine.log.info(`made the management certificate for ${hostname}: SHA-256 ${fingerprintOf(stdout)}`);
  return stdout;
}

/** X.520 allows 64 characters; the whole name stands in the subject alternative name, which is what clients read. */
function commonName(hostname: string): string {
  return hostname.slice(0, 64);
}
