import { z } from "zod";
import { checkPassword } from "../access/password-policy.ts";
import { passwordHash, user } from "../access/schema.ts";
import { certificate } from "../certificates/schema.ts";
import { collections, farm } from "../configuration/schema.ts";
import { networkInterface, virtualAddress } from "../network/schema.ts";
import { system } from "../system/schema.ts";

/** The answers that make a box's first configuration: what an answer file holds, and what the console wizard sends. */

const admin = z
  .strictObject(
    {
      password: z
        .string("expected a password in quotes")
        .check((context) => {
          for (const message of checkPassword(context.value, "admin"))
            context.issues.push({ code: "custom", input: undefined, message });
        })
        .optional()
        .describe("In clear; only its hash is kept"),
      passwordHash: passwordHash
        .optional()
        .describe("Instead of password: crypt(5) of the kind $7$, from mkpasswd -m scrypt"),
      sshKeys: user.shape.sshKeys.describe("OpenSSH public keys, one line each"),
    },
    "expected the administrator's password, passwordHash or sshKeys",
  )
  .check((context) => {
    const { password, passwordHash, sshKeys } = context.value;
    const complain = (message: string) => context.issues.push({ code: "custom", input: undefined, message });
    if (password !== undefined && passwordHash !== undefined) complain("expected password or passwordHash, not both");
    if (password === undefined && passwordHash === undefined && sshKeys.length === 0)
      complain("expected a password, a passwordHash or sshKeys, or nobody could manage the box");
  });

export const answers = z
  .strictObject(
    {
      version: z.literal(1, "expected version: 1").describe("Of the format"),
      admin: admin.describe("How the administrator logs in"),
      system: system.default(system.parse({})).describe("The box itself"),
      interfaces: z
        .record(collections.interfaces.name, networkInterface)
        .default({})
        .describe("Network interfaces by name"),
      virtualAddresses: z
        .record(collections.virtualAddresses.name, virtualAddress)
        .default({})
        .describe("Virtual addresses by name"),
      farms: z.record(collections.farms.name, farm).default({}).describe("Farms by name"),
      certificates: z
        .record(collections.certificates.name, certificate)
        .default({})
        .describe("Certificates and their keys by name"),
    },
    "expected the answers as a YAML mapping, beginning with version: 1",
  )
  .meta({
    id: "FirstBootAnswers",
    examples: [
      {
        version: 1,
        admin: { password: "correct horse battery" },
        system: { hostname: "lb1", management: { interfaces: ["nic0"] } },
        interfaces: { nic0: { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } } },
      },
    ],
  });

export type Answers = z.output<typeof answers>;
export type AnswersInput = z.input<typeof answers>;
