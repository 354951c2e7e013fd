import { X509Certificate } from "node:crypto";
import { type Certificate, certificate } from "../../certificates/schema.ts";
import { type Draft, makeName, report, reportTaken } from "./draft.ts";
import { readText } from "./source.ts";

/**
 * `certificates/<name>.pem` (before CE 6 beside `global.conf`) holds a certificate, its chain and usually its key; else that is in
 * `<name>.key`. `<name>.csr` is a request that awaits its answer. A key is never told.
 */

export function readCertificates(draft: Draft): void {
  const { configuration } = draft.source;
  const paths = [...configuration.keys()].filter((path) => /^[^/]+$|^certificates\/[^/]+$/.test(path)).sort();
  const of = (ending: RegExp) => paths.filter((path) => ending.test(path) && !draft.seen.has(path));
  for (const path of of(/\.(?:pem|crt)$/)) readCertificate(draft, path);
  for (const path of of(/\.csr$/)) readCertificate(draft, path);
  // What is left belongs to nothing above.
  for (const path of of(/\.key$/)) refuse(draft, path, ["a private key without a certificate"]);
}

type Facts = { notes: string[]; content?: Record<string, unknown> };
/** What becomes of a file: an object, or why there is none. */
type Found = { facts: Facts; object?: Certificate };

function readCertificate(draft: Draft, path: string): void {
  const name = fileName(path);
  const { facts, object } = readObject(draft, path, name);
  if (!object) {
    refuse(draft, path, facts.notes, facts.content);
    return;
  }
  const wanted = name.replace(/\.\w+$/, "");
  const target = makeName(wanted, takenNames(draft));
  const notes = target === wanted ? [] : [`names here are of a-z, 0-9, - and _: ${wanted} is ${target}`];
  if (Object.hasOwn(draft.candidate.certificates, target))
    notes.push(`it replaces the certificate ${target} of this box`);
  draft.candidate.certificates[target] = object;
  const content = { ...facts.content, hasKey: true };
  reportTaken(draft, { kind: "certificate", name, file: path, target: `certificates.${target}`, notes, content });
}

function readObject({ source: { configuration }, seen }: Draft, path: string, name: string): Found {
  const beside = path.replace(/\.\w+$/, ".key");
  if (/dh\d+\.pem$/.test(name)) return { facts: { notes: ["parameters for a key exchange that is not used here"] } };
  if (/^(?:zencert|skdcert|zlbcert)/.test(name)) {
    const words = "the certificate of the product's own web interface: this box has one of its own";
    return { facts: { notes: [words] } };
  }
  const text = readText(configuration, path) ?? "";
  const facts = describe(text);
  const isRequest = requestBlock.test(text);
  if (!isRequest && !facts.content) return { facts };
  const own = keyOf(text);
  const key = own ?? keyOf(readText(configuration, beside) ?? "");
  if (own === undefined && configuration.has(beside)) seen.add(beside);
  const because = (notes: string[]): Found => ({ facts: { ...facts, notes } });
  if (key === undefined) return because([...(isRequest ? [] : facts.notes), "its private key is not in the backup"]);
  const parsed = certificate.safeParse(isRequest ? { key, request: text } : { key, certificate: withoutKeys(text) });
  return parsed.success ? { facts, object: parsed.data } : because(parsed.error.issues.map(({ message }) => message));
}

function refuse(draft: Draft, path: string, notes: string[], content?: Record<string, unknown>): void {
  const item = { kind: "certificate", name: fileName(path), file: path, result: "not-supported" as const, notes };
  report(draft, content ? { ...item, content } : item);
}

function fileName(path: string): string {
  return path.replace(/^.*\//, "");
}

/** Of this backup alone: one of the box is replaced, so that a backup can be read twice. */
function takenNames({ report: items }: Draft): Set<string> {
  return new Set(items.flatMap(({ target }) => (target?.startsWith("certificates.") ? target.slice(13) : [])));
}

const requestBlock = /-----BEGIN CERTIFICATE REQUEST-----/;
const keyBlock = /-----BEGIN ((?:\w+ )*PRIVATE KEY)-----[\s\S]+?-----END \1-----/g;

function keyOf(text: string): string | undefined {
  return text.match(keyBlock)?.[0];
}

function withoutKeys(text: string): string {
  return text.replace(keyBlock, "");
}

/** Who it is for, and until when. */
function describe(text: string): Facts {
  const hasKey = keyOf(text) !== undefined;
  const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(text)?.[0];
  if (block === undefined) return { notes: [hasKey ? "a private key" : "it holds no certificate"] };
  try {
    const { subject, subjectAltName, validTo, fingerprint256 } = new X509Certificate(block);
    const names = subjectAltName ?? subject.replaceAll("\n", ", ");
    return {
      notes: [`${names}, until ${validTo}`],
      content: { subject, subjectAltName, validTo, fingerprint256, hasKey },
    };
  } catch (error) {
    return { notes: [`the certificate cannot be read: ${(error as Error).message}`] };
  }
}
