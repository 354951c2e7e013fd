import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { BuildError } from "./errors.ts";
import { repository } from "./paths.ts";

const moduleName = z.string().regex(/^[a-z0-9][a-z0-9_-]*$/i, "a kernel module's name, for example igb");
const amount = (most: number) => {
  const words = `a whole number from 1 to ${most}, or max`;
  return z.union([z.int(words).min(1, words).max(most, words), z.literal("max")], words).optional();
};
const packageName = z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/, "a Debian package's name");

/** As `card` of an interface, for every card of these drivers. More than a card takes is as much as it takes. */
const cardSchema = z.strictObject({
  drivers: z.array(moduleName).min(1),
  rings: z.strictObject({ receive: amount(65_536), send: amount(65_536) }).optional(),
  channels: z.strictObject({ combined: amount(1_024), receive: amount(1_024), send: amount(1_024) }).optional(),
  offloads: z
    .strictObject({
      receiveChecksum: z.boolean().optional(),
      sendChecksum: z.boolean().optional(),
      scatterGather: z.boolean().optional(),
      tcpSegmentation: z.boolean().optional(),
      genericSegmentation: z.boolean().optional(),
      genericReceive: z.boolean().optional(),
      genericReceiveHardware: z.boolean().optional(),
      receiveVlan: z.boolean().optional(),
      sendVlan: z.boolean().optional(),
    })
    .optional(),
});

const profileSchema = z.strictObject({
  description: z.string().min(1),
  console: z.strictObject({
    /** The last one is /dev/console: kernel messages and the early boot's words go to all of them. */
    kernel: z
      .array(z.string().regex(/^tty[A-Z]*\d+(,\d+n8)?$/, "tty0, or a serial port and speed such as ttyS0,115200n8"))
      .min(1),
  }),
  /** Each of these must be in the image, with all firmware it names: the build fails otherwise. */
  nicDrivers: z.array(moduleName).min(1),
  /** Settings of network cards by driver, under those of the configuration: docs/network.md. */
  cards: z.array(cardSchema).default([]),
  /** Drivers that the initrd needs to find the system disk. */
  storageDrivers: z.array(moduleName).min(1),
  /** Further modules by name, such as watchdogs and sensors. */
  otherModules: z.array(moduleName).default([]),
  /** Debian packages on top of the common ones: firmware, microcode, tools for this hardware. */
  packages: z.array(packageName).default([]),
  /** Firmware that a driver names but no Debian package ships, each with the reason why that is no loss. */
  firmwareWaivers: z
    .array(z.strictObject({ driver: moduleName, files: z.array(z.string().min(1)).min(1), reason: z.string().min(10) }))
    .default([]),
  kernelArguments: z.array(z.string().regex(/^\S+$/, "one kernel argument without spaces")).default([]),
  /** Megabytes (10^6) the compressed qcow2 may have. */
  mediaLimit: z.number().int().positive(),
});

export type Profile = z.infer<typeof profileSchema> & { name: string };

export async function listProfiles(root: string = repository): Promise<string[]> {
  const names = await readdir(join(root, "hardware-profiles"));
  return names
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => basename(name, ".yaml"))
    .sort();
}

/** Reads and checks hardware-profiles/<name>.yaml. Every fault is named by file, field and what was expected. */
export async function readProfile(name: string, root: string = repository): Promise<Profile> {
  const known = await listProfiles(root);
  if (!known.includes(name)) throw new BuildError(`no hardware profile "${name}"; there are: ${known.join(", ")}`);
  const file = join("hardware-profiles", `${name}.yaml`);
  return parseProfile(name, file, await readFile(join(root, file), "utf8"));
}

export function parseProfile(name: string, file: string, text: string): Profile {
  const document = parseDocument(text, { prettyErrors: true });
  const fault = document.errors[0];
  if (fault) throw new BuildError(`${file}: not YAML: ${fault.message}`);
  const result = profileSchema.safeParse(document.toJS());
  if (!result.success) {
    const lines = result.error.issues.map(
      (issue) => `${file}: ${issue.path.join(".") || "the whole file"}: ${issue.message}`,
    );
    throw new BuildError(lines.join("\n"));
  }
  const { nicDrivers, cards } = result.data;
  const named = cards.flatMap(({ drivers }) => drivers);
  const strange = named.find((driver, at) => !nicDrivers.includes(driver) || named.indexOf(driver) !== at);
  if (strange !== undefined)
    throw new BuildError(`${file}: cards: ${strange}: expected drivers of nicDrivers, each once`);
  return { ...result.data, name };
}
