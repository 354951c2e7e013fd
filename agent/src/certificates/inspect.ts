import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { messageOf, type Problem } from "../errors.ts";
import { type Certificate, splitChain } from "./schema.ts";
import { readSignature } from "./signature.ts";

/** What stands in a certificate, and what is wrong with one. Pure; whether it has expired is for those who know the time. */

export type CertificateFacts = {
  subject: string;
  issuer: string;
  /** Host names and addresses it is for: the subject alternative name (RFC 6125: the common name does not count). */
  names: string[];
  /** RFC 3339, UTC. */
  notBefore: string;
  notAfter: string;
  /** `ECDSA P-256`, `RSA 2048`. */
  key: string;
  /** `ECDSA with SHA-256`. */
  signature: string;
  /** SHA-256, `AB:CD:…`. */
  fingerprint: string;
  selfSigned: boolean;
};

const curves: Record<string, string> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
/** Extended key usage of TLS servers, and of anything; RFC 5280, 4.2.1.12. */
const forServers = ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"];

/** Of the server's own certificate, the first of the chain. Throws what OpenSSL says of one that cannot be read. */
export function readFacts(chain: string): CertificateFacts {
  return factsOf(new X509Certificate(splitChain(chain)[0] ?? ""));
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  const { subject, issuer, subjectAltName = "", validFrom, validTo, fingerprint256 } = certificate;
  return {
    subject: oneLine(subject),
    issuer: oneLine(issuer),
    names: subjectAltName
      .split(", ")
      .map((each) => each.replace(/^(?:DNS|IP Address|email|URI):/, ""))
      .filter((each) => each !== ""),
    notBefore: new Date(validFrom).toISOString(),
    notAfter: new Date(validTo).toISOString(),
    key: describeKey(certificate.publicKey).name,
    signature: readSignature(certificate.raw).name,
    fingerprint: fingerprint256,
    selfSigned: isSelfSigned(certificate),
  };
}

/** `checkIssued` would ask for the right to sign others as well. */
function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}

/** RFC 4514 would turn the order round; people read it as it stands. */
function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}

function describeKey(key: KeyObject): { name: string; strong: boolean } {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key;
  if (type === "rsa" || type === "rsa-pss") {
    const bits = details.modulusLength ?? 0;
    return { name: `RSA ${bits}`, strong: bits >= 2048 };
  }
  if (type === "ec") {
    const curve = details.namedCurve ?? "";
    return { name: `ECDSA ${curves[curve] ?? curve}`, strong: Object.hasOwn(curves, curve) };
  }
  return type === "ed25519" ? { name: "Ed25519", strong: true } : { name: String(type), strong: false };
}

/** Objects are immutable and shared between generations: each is looked at once. */
const known = new WeakMap<Certificate, Problem[]>();

/** Everything for which a server would refuse the certificate or its clients the server; paths from the object: `certificate`, `key`. */
export function findProblems(object: Certificate): Problem[] {
  const before = known.get(object);
  if (before) return before;
  const problems = inspect(object);
  known.set(object, problems);
  return problems;
}

function inspect({ certificate: chain, key }: Certificate): Problem[] {
  const problems: Problem[] = [];
  const complain = (path: string, message: string) => void problems.push({ path, message });
  let own: KeyObject | undefined;
  try {
    own = createPrivateKey(key);
    const { name, strong } = describeKey(own);
    if (!strong)
      complain("key", `expected RSA of 2048 bits or more, ECDSA on P-256, P-384 or P-521, or Ed25519, not ${name}`);
  } catch {
    // OpenSSL's words are of no help here, and might say something of the key.
    complain("key", "expected a private key that OpenSSL can read: it is damaged");
  }
  if (chain === undefined) return problems;
  const certificates: X509Certificate[] = [];
  for (const [at, pem] of splitChain(chain).entries()) {
    try {
      const each = new X509Certificate(pem);
      factsOf(each);
      certificates.push(each);
    } catch (error) {
      complain("certificate", `certificate ${at + 1} is damaged (${messageOf(error)})`);
      return problems;
    }
  }
  for (const message of [
    ...inspectOwner(certificates, own),
    ...inspectOrder(certificates),
    ...inspectStrength(certificates),
  ])
    complain("certificate", message);
  return problems;
}

function inspectOwner(certificates: readonly X509Certificate[], own: KeyObject | undefined): string[] {
  const [first, ...rest] = certificates;
  if (!first) return [];
  const messages: string[] = [];
  if (own && !first.checkPrivateKey(own)) {
    const at = rest.findIndex((each) => each.checkPrivateKey(own));
    messages.push(
      at === -1
        ? "the key does not belong to it"
        : `expected the server's certificate first: the key belongs to certificate ${at + 2}`,
    );
  }
  // Extended key usages; without the extension it is good for all.
  const { keyUsage: usages } = first as X509Certificate & { keyUsage?: string[] };
  if (usages && !usages.some((each) => forServers.includes(each)))
    messages.push("expected a certificate for TLS servers: its extended key usage does not have serverAuth");
  return messages;
}

function inspectOrder(certificates: readonly X509Certificate[]): string[] {
  return certificates.slice(1).flatMap((authority, at) => {
    const signed = certificates[at] as X509Certificate;
    if (signed.checkIssued(authority) && signed.verify(authority.publicKey)) return [];
    const [one, other] = [oneLine(signed.issuer), oneLine(authority.subject)];
    return `expected the chain in order: certificate ${at + 2} (${other}) did not sign certificate ${at + 1}, which says ${one} did`;
  });
}

function inspectStrength(certificates: readonly X509Certificate[]): string[] {
  return certificates.flatMap((each, at) => {
    const messages: string[] = [];
    const key = describeKey(each.publicKey);
    if (!key.strong) messages.push(`certificate ${at + 1} has a weak key (${key.name}), which clients refuse`);
    const signature = readSignature(each.raw);
    // Nobody checks the signature of a root: who trusts it trusts it as it stands (RFC 5280, 6.1.1).
    const isRoot = at > 0 && isSelfSigned(each);
    if (!signature.strong && !isRoot)
      messages.push(`certificate ${at + 1} is signed with ${signature.name}, which clients refuse`);
    return messages;
  });
}
