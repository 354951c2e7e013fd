import { z } from "zod";
import { requirePermission } from "../api/authentication.ts";
import { changeQuery, commitChange, principalOf } from "../api/change.ts";
import { addCollection, type CollectionDefinition, type CollectionView } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { problemDocument } from "../api/problem.ts";
import { address, hostName } from "../configuration/fields.ts";
import { collections } from "../configuration/schema.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { readFacts } from "./inspect.ts";
import { makePrivateKey, makeRequest } from "./request.ts";
import { certificate, keyTypes } from "./schema.ts";
import { daysLeft, factsOfObject, stateOf, usesOf } from "./validity.ts";

const url = "/api/v1/certificates";
const tags = ["Certificates"];

const shownCertificate = certificate
  .omit({ key: true })
  .meta({ id: "ShownCertificate", description: "Without the key" });
const givenCertificate = certificate
  .extend({
    key: certificate.shape.key.optional().describe("PEM, without a passphrase; left out when replacing: stays"),
  })
  .meta({ id: "GivenCertificate" });

const view: CollectionView = {
  given: givenCertificate,
  shown: shownCertificate,
  secrets: ["key"],
  async accept(given, path, machine) {
    // Here and not in the verification of every commit: that one has expired must not keep anybody from another change.
    const { success, data: chain } = certificate.shape.certificate.safeParse(given.certificate);
    if (!success || chain === undefined) return given;
    let notAfter: string;
    try {
      notAfter = readFacts(chain).notAfter;
    } catch {
      return given; // The verification says what is wrong with it.
    }
    if (Date.parse(notAfter) <= machine.now().getTime())
      throw badInput([{ path: [...path, "certificate"].join("."), message: `expired on ${notAfter}` }]);
    return given;
  },
};

const pem = (what: string, body: string) => `-----BEGIN ${what}-----\n${body}\n-----END ${what}-----\n`;
const example = {
  name: "management",
  description: "signed by our own authority",
  certificate: pem("CERTIFICATE", "MIIBhTCCASugAwIBAgIUTg=="),
  key: pem("PRIVATE KEY", "MIGHAgEAMBMGByqGSM49Ag=="),
};
const { key: _key, ...shownExample } = example;

const definition: CollectionDefinition = {
  url,
  parameter: "certificate",
  name: collections.certificates.name,
  object: certificate,
  resource: "certificates",
  binding: { kind: "certificates", parameter: "certificate" },
  view,
  tag: "Certificates",
  noun: "certificate",
  operation: { one: "Certificate", many: "Certificates" },
  example,
  shownExample,
  read: ({ certificates }) => certificates,
  replace: (configuration, _parameters, certificates) => ({ ...configuration, certificates: certificates as never }),
  path: () => ["certificates"],
};

/** Of a certificate: what stands in it. */
export const certificateFacts = z.object({
  subject: z.string().describe("Whom it names"),
  issuer: z.string().describe("Who signed it"),
  names: z.array(z.string()).describe("Host names and addresses it is for"),
  notBefore: z.iso.datetime().describe("Valid from"),
  notAfter: z.iso.datetime().describe("Valid until"),
  daysLeft: z.int().describe("Whole days until it expires; below 0 once it has"),
  key: z.string().describe("Kind of key, such as ECDSA P-256"),
  signature: z.string().describe("How it is signed, such as ECDSA with SHA-256"),
  fingerprint: z.string().describe("SHA-256, AB:CD:…"),
  selfSigned: z.boolean().describe("No authority vouches for it"),
});

export const factsExample = {
  subject: "CN=lb1.example.com",
  issuer: "O=Example, CN=Example authority 1",
  names: ["lb1.example.com"],
  notBefore: "2026-01-01T00:00:00.000Z",
  notAfter: "2026-04-01T00:00:00.000Z",
  daysLeft: 89,
  key: "ECDSA P-256",
  signature: "ECDSA with SHA-256",
  fingerprint: Array.from({ length: 32 }, () => "AB").join(":"),
  selfSigned: false,
};

const certificateStatus = certificateFacts
  .partial()
  .extend({
    name: z.string().describe("Of the certificate"),
    state: z
      .enum(["valid", "expiring", "expired", "not-yet-valid", "requested"])
      .describe(
        "expiring: in less than 30 days, or a third of its time; requested: its authority has not answered yet",
      ),
    uses: z.array(z.string()).describe("What has a use for it, by its path in the configuration"),
  })
  .meta({
    id: "CertificateStatus",
    examples: [{ name: "management", state: "valid", uses: ["system.management"], ...factsExample }],
  });

const wantedRequest = z
  .strictObject({
    names: z
      .array(
        z.union([
          address,
          hostName,
          z.string().regex(/^\*\.[A-Za-z0-9.-]{1,251}$/, "expected a host name, *.domain or an address"),
        ]),
      )
      .min(1, "expected a name at least")
      .max(100, "expected at most 100 names")
      .describe("Host names and addresses the certificate is for; the first is its common name"),
    keyType: z.enum(keyTypes).default("ecdsa-p256").describe("Kind of the new key"),
    organization: z
      .string()
      .regex(/^[^\p{Cc}]{1,64}$/u, "expected 1 to 64 characters on one line")
      .optional()
      .describe("Who runs the box"),
    country: z
      .string()
      .regex(/^[A-Z]{2}$/, "expected two capital letters, like DE (ISO 3166)")
      .optional()
      .describe("Of the organization"),
    description: certificate.shape.description,
  })
  .meta({ id: "CertificateRequest", examples: [{ names: ["lb1.example.com", "192.0.2.5"], keyType: "ecdsa-p256" }] });

const parameters = z.strictObject({ certificate: collections.certificates.name.describe("Name of the certificate") });
const requested = shownCertificate.extend({ name: collections.certificates.name.describe("Of the certificate") }).meta({
  id: "RequestedCertificate",
  examples: [{ name: "management", description: "", request: pem("CERTIFICATE REQUEST", "MIHeMIGFAgEAMBQxEjAQBg==") }],
});

/** Certificates and their keys, which never leave. */
export const addCertificateRoutes: Routes = (app, context) => {
  const { control, machine } = context;
  const object = { kind: "certificates" as const, parameter: "certificate" };
  addCollection(app, context, definition);

  app.get(`${url}/:certificate/status`, {
    config: { permission: "certificates:read", object },
    schema: {
      operationId: "getCertificateStatus",
      tags,
      summary: "What stands in a certificate, and how it stands with it",
      description: "Names, key, fingerprint, and how long it is valid.",
      params: parameters,
      response: { 200: certificateStatus, default: problemDocument },
    },
    handler: async (request) => {
      const { certificate: name } = request.params as { certificate: string };
      const { configuration } = control.current();
      const found = Object.hasOwn(configuration.certificates, name) ? configuration.certificates[name] : undefined;
      if (!found) throw new SteelyardError("not-found", `there is no certificate ${name}`);
      const [facts, now] = [factsOfObject(found), machine.now()];
      const about = { name, uses: usesOf(configuration, name) };
      return facts
        ? { ...about, state: stateOf(facts, now), ...facts, daysLeft: daysLeft(facts, now) }
        : { ...about, state: "requested" };
    },
  });

  app.post(`${url}/:certificate/request`, {
    config: { permission: "certificates:create", object, bodyPath: () => ["request"] },
    schema: {
      operationId: "requestCertificate",
      tags,
      summary: "Make a key and a request for an authority to sign",
      description:
        "A new certificate with a key that is made here and never leaves, and its request (PKCS #10). What the authority answers is set as its field certificate.",
      params: parameters,
      querystring: changeQuery,
      body: wantedRequest,
      response: { 201: requested, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { certificate: name } = request.params as { certificate: string };
      requirePermission(principalOf(request), "certificates:create", { name });
      const { names, keyType, organization, country, description } = request.body as z.output<typeof wantedRequest>;
      const refuseTaken = (taken: object) => {
        if (Object.hasOwn(taken, name))
          throw new SteelyardError(
            "exists",
            `there is a certificate ${name} already: request another, and change over to it`,
            {
              problems: [{ path: `certificates.${name}`, message: "the name is taken" }],
            },
          );
      };
      refuseTaken(control.current().configuration.certificates);
      const key = await makePrivateKey(keyType);
      const made = await makeRequest(machine, key, { names, organization, country });
      const kept = certificate.parse({ description, key, request: made });
      const done = await commitChange(context, request, reply, `request certificate ${name}`, (configuration) => {
        refuseTaken(configuration.certificates);
        return { ...configuration, certificates: { ...configuration.certificates, [name]: kept } };
      });
      if (!done) return reply;
      reply.code(201).header("Location", `${url}/${name}`);
      return reply.send({ name, description, request: kept.request });
    },
  });
};
