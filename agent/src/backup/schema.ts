import { z } from "zod";
import { isRecipient } from "./recipient.ts";

export const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

const recipient = z
  .string()
  .refine(isRecipient, "expected a public key of age: age1 and 58 more letters and digits")
  .meta({ examples: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"] });

/** Public keys, of which any one's secret key opens the file: nothing that is kept on the box does. */
export const recipients = z
  .array(recipient)
  .max(8, "expected at most 8 public keys")
  .describe("Public keys of age (age1…) the backup is encrypted for; the secret key of any of them opens it");

/** Backups the box makes by itself: one object. */
export const backups = z
  .strictObject({
    enabled: z.boolean("expected true or false").default(false).describe("Make backups by the clock"),
    time: z
      .string()
      .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, "expected a time of day from 00:00 to 23:59, in UTC")
      .default("03:00")
      .describe("Time of day, in UTC; one that was missed while the box was off is made up for")
      .meta({ examples: ["03:00"] }),
    days: z
      .array(z.enum(weekdays, `expected some of ${weekdays.join(", ")}`))
      .max(7, "expected each day once")
      .default([])
      .describe("Days of the week; none: every day"),
    keep: z
      .int("expected a whole number from 1 to 100")
      .min(1, "expected at least 1")
      .max(100, "expected at most 100")
      .default(7)
      .describe("How many of them are kept; those made by hand are not counted, and stay"),
    recipients: recipients.default([]),
    identity: z
      .boolean("expected true or false")
      .default(true)
      .describe("With the certificate and key of the API and the host keys of SSH"),
    history: z.boolean("expected true or false").default(false).describe("With the generations of before, to look up"),
  })
  .refine(({ enabled, recipients }) => !enabled || recipients.length > 0, {
    path: ["recipients"],
    message: "expected at least one public key: the box keeps no passphrase it could encrypt with",
  })
  .meta({
    id: "BackupSchedule",
    examples: [
      {
        enabled: true,
        time: "03:00",
        days: ["sunday"],
        keep: 7,
        recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
        identity: true,
        history: false,
      },
    ],
  });

export type BackupSchedule = z.output<typeof backups>;

/** A network card as it was on the box that made the backup. */
export const backupNic = z
  .object({
    name: z.string().max(32).describe("Name in the kernel"),
    mac: z.string().max(64).optional().describe("The address the card was made with"),
    driver: z.string().max(64).optional().describe("Kernel driver"),
    bus: z.string().max(128).optional().describe("Where the card sits"),
  })
  .meta({ id: "BackupNic", examples: [{ name: "eth0", mac: "52:54:00:12:34:56", driver: "virtio_net" }] });

export type BackupNic = z.output<typeof backupNic>;

/** `manifest.json` of a backup. What a newer system adds is passed over; a greater `format` is refused. */
export const manifest = z
  .object({
    product: z.literal("steelyard").describe("steelyard"),
    format: z.int().min(1).describe("Of the backup file"),
    version: z.string().max(64).describe("Of the appliance that made it"),
    schemaVersion: z.int().min(1).describe("Of the configuration in it"),
    hostname: z.string().max(253).describe("Name of the box that made it"),
    time: z.iso.datetime().describe("When it was made"),
    generation: z.int().min(0).describe("The generation of the configuration that is in it"),
    digest: z.string().max(128).describe("SHA-256 of the configuration's files"),
    identity: z.boolean().describe("Certificate and key of the API and host keys of SSH are in it"),
    history: z.int().min(0).describe("How many older generations are in it"),
    nics: z.array(backupNic).max(1024).describe("Network cards of the box that made it"),
  })
  .meta({
    id: "BackupManifest",
    examples: [
      {
        product: "steelyard",
        format: 1,
        version: "0.1.0",
        schemaVersion: 2,
        hostname: "lb1",
        time: "2026-01-02T03:04:05.000Z",
        generation: 7,
        digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        identity: true,
        history: 0,
        nics: [{ name: "eth0", mac: "52:54:00:12:34:56", driver: "virtio_net", bus: "0000:00:03.0" }],
      },
    ],
  });

export type Manifest = z.output<typeof manifest>;
