import { z } from "zod";
import { isDryRun, plan } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { readFacts } from "./inspect.ts";
import { certificateFacts, factsExample } from "./routes.ts";
import { daysLeft } from "./validity.ts";

const url = "/api/v1/system/certificate";
const tags = ["System"];

const shownCertificate = certificateFacts
  .extend({
    certificate: z.string().describe("PEM, with the authorities behind it"),
    source: z.enum(["self-signed", "configured"]).describe("The box's own, or that of system.management.certificate"),
    name: z.string().exactOptional().describe("Of the configured one"),
    reason: z.string().exactOptional().describe("Why the configured one is not shown"),
  })
  .meta({
    id: "ManagementCertificate",
    examples: [
      {
        source: "configured",
        name: "management",
        certificate: "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n",
        ...factsExample,
      },
    ],
  });

/** What the API itself shows to its clients. Which it shows is a setting of the system. */
export const addManagementCertificateRoutes: Routes = (app, { machine, management, control }) => {
  const describe = async () => {
    const { name, reason, certificate } = await management.shown();
    const facts = readFacts(certificate);
    return {
      source: name === undefined ? "self-signed" : "configured",
      ...(name === undefined ? {} : { name }),
      ...(reason === undefined ? {} : { reason }),
      ...facts,
      daysLeft: daysLeft(facts, machine.now()),
      certificate,
    };
  };

  app.get(url, {
    config: { permission: "system:read" },
    schema: {
      operationId: "getManagementCertificate",
      // A command with commands below it does nothing itself.
      ...{ "x-command": "system certificate show" },
      tags,
      summary: "Read the certificate the API shows",
      description: "The one of system.management.certificate, or else one the box has made and signed itself.",
      response: { 200: shownCertificate, default: problemDocument },
    },
    handler: describe,
  });

  app.post(`${url}/regenerate`, {
    config: { permission: "system:update", errors: ["disk-full"] },
    schema: {
      operationId: "regenerateManagementCertificate",
      tags,
      summary: "Make a new self-signed certificate",
      description:
        "With a new key and the host name of now. Shown at once, unless another one is configured; connections go on. Clients that know the old fingerprint have to be told the new one.",
      querystring: dryRunQuery,
      response: {
        200: z.union([shownCertificate, plan]).describe("The new certificate; for a dry run, the plan"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      if (isDryRun(request)) {
        const { name } = await management.shown();
        const rest = name === undefined ? "shown from now on" : `not shown while ${name} is configured`;
        const summary = `make a new key and a self-signed certificate for it, ${rest}`;
        return sendSteps(reply, control, [{ subsystem: "certificates", kind: "regenerate", summary }]);
      }
      await management.regenerate();
      return reply.send(await describe());
    },
  });
};
