import { z } from "zod";
import { objectName } from "../configuration/fields.ts";

/** A backup on the box, with what is known of it without its key. */
export const storedBackup = z
  .object({
    name: objectName.describe("Name of the backup"),
    time: z.iso.datetime().describe("When it was made; of one that was uploaded, when that was"),
    size: z.int().describe("Bytes"),
    origin: z.enum(["made", "scheduled", "uploaded"]).describe("How it came to be here"),
    lock: z
      .enum(["passphrase", "recipients", "unknown"])
      .describe("What opens it: the passphrase it was made with, or the secret key of one of its public keys"),
    hostname: z.string().optional().describe("Name of the box that made it; not known of one that was uploaded"),
    version: z.string().optional().describe("Of the appliance that made it"),
    generation: z.int().optional().describe("The generation of the configuration that is in it"),
    identity: z.boolean().optional().describe("Certificate and key of the API and host keys of SSH are in it"),
    history: z.int().optional().describe("How many older generations are in it"),
  })
  .meta({
    id: "StoredBackup",
    examples: [
      {
        name: "lb1-20260102-030405",
        time: "2026-01-02T03:04:05.000Z",
        size: 12_345,
        origin: "made",
        lock: "passphrase",
        hostname: "lb1",
        version: "0.1.0",
        generation: 7,
        identity: true,
        history: 0,
      },
    ],
  });

export type StoredBackup = z.output<typeof storedBackup>;
