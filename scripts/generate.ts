import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import { setUpServer } from "../agent/src/api/testing.ts";
import type { ApiDocument } from "../agent/src/cli/model.ts";
import { listProfiles, readProfile } from "../image/builder/src/profile.ts";

/**
 * What is made from the API's description of itself and committed: the description, the types of the client, the manual of
 * the command and the reference of the answer file; and, from the hardware profiles, which of them knows which network driver.
 * `npm run generate` writes them; a test fails when one is stale.
 */

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export const generatedFiles = {
  document: "agent/src/client/openapi.mjs",
  types: "agent/src/client/types.ts",
  manual: "docs/cli.md",
  answers: "docs/answer-file.md",
  completion: "image/overlay/usr/share/bash-completion/completions/steelyard",
  drivers: "agent/src/network/known-drivers.ts",
  cards: "agent/src/network/tuning/profile-cards.ts",
} as const;

const head = "/** Made from the API's OpenAPI document by `npm run generate`: do not edit. */\n\n";

export type GeneratedFiles = Record<keyof typeof generatedFiles, string>;

/** The text of each file, made anew. `keep` is given each as soon as it is there. */
export async function generate(keep?: (path: string, text: string) => Promise<void>): Promise<GeneratedFiles> {
  const api = await describeApi();
  const document = `${head}export default ${JSON.stringify(api, null, 1)};\n`;
  const types = await generateTypes(api);
  await keep?.(generatedFiles.document, document);
  await keep?.(generatedFiles.types, types);
  const { writeReference } = await import("../agent/src/first-boot/reference.ts");
  const answers = writeReference(api as ApiDocument);
  await keep?.(generatedFiles.answers, answers);
  const command = await describeCommand(api as ApiDocument);
  await keep?.(generatedFiles.manual, command.manual);
  await keep?.(generatedFiles.completion, command.completion);
  const drivers = await describeDrivers();
  await keep?.(generatedFiles.drivers, drivers);
  const cards = await describeCards();
  await keep?.(generatedFiles.cards, cards);
  return { document, types, answers, ...command, drivers, cards };
}

/** Of the program that is made from a document. It loads the one just kept: that may have been in conflict, or not there. */
async function describeCommand(document: ApiDocument): Promise<Pick<GeneratedFiles, "manual" | "completion">> {
  const { makeProgram } = await import("../agent/src/cli/program.ts");
  const { writeManual } = await import("../agent/src/cli/manual.ts");
  const { completionScript } = await import("../agent/src/cli/completion-scripts.ts");
  const nothing = { print: () => {}, warn: () => {}, write: () => {}, colours: false, width: undefined };
  const surroundings = { output: nothing, environment: {}, input: process.stdin, runConsole: async () => 0 };
  const program = makeProgram(surroundings, { status: 0 }, document);
  return { manual: writeManual(program, document), completion: `${completionScript("bash")}\n` };
}

/** The network drivers of the hardware profiles, for the agent's inventory. */
async function describeDrivers(): Promise<string> {
  const known = new Map<string, string[]>();
  for (const name of await listProfiles()) {
    for (const driver of (await readProfile(name)).nicDrivers) known.set(driver, [...(known.get(driver) ?? []), name]);
  }
  const lines = [...known].sort().map(([driver, names]) => `  ${JSON.stringify(driver)}: ${JSON.stringify(names)},\n`);
  return `/** Made from hardware-profiles/ by \`npm run generate\`: do not edit. Which profiles' images have a network driver. */
export const knownDrivers: Readonly<Record<string, readonly string[]>> = {
${lines
  .join("")
  .replaceAll('","', '", "')
  .replace(/^ {2}"([a-z0-9_]+)":/gm, "  $1:")}};
`;
}

/** The settings that the hardware profiles have for cards, for the agent of their images. */
async function describeCards(): Promise<string> {
  const profiles = await Promise.all((await listProfiles()).map((name) => readProfile(name)));
  const entries = profiles.filter(({ cards }) => cards.length > 0).map(({ name, cards }) => [name, cards]);
  return `import type { Card } from "./schema.ts";

export type ProfileCard = Pick<Card, "rings" | "channels" | "offloads"> & { drivers: readonly string[] };

/** Made from hardware-profiles/ by \`npm run generate\`: do not edit. Settings of cards by profile and driver. */
export const profileCards: Readonly<Record<string, readonly ProfileCard[]>> = ${writeLiteral(Object.fromEntries(entries))};
`;
}

/** As the formatter leaves it: an object has a line for each of its fields, a list of texts one for all. */
function writeLiteral(value: unknown, indent = ""): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((each) => typeof each === "string"))
      return `[${value.map((each) => JSON.stringify(each)).join(", ")}]`;
    return `[\n${value.map((each) => `${inner}${writeLiteral(each, inner)},\n`).join("")}${indent}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, each]) => {
    const key = /^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name);
    return `${inner}${key}: ${writeLiteral(each, inner)},\n`;
  });
  return `{\n${fields.join("")}${indent}}`;
}

/** The document as the API serves it, of an application on a root of its own. */
async function describeApi(): Promise<object> {
  const ends: (() => unknown)[] = [];
  const { server } = await setUpServer({ teardown: (end: () => unknown) => void ends.push(end) } as never, {
    withUser: false,
  });
  try {
    return (await server.local.inject("/api/v1/openapi.json")).json();
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function generateTypes(document: object): Promise<string> {
  const nodes = await openapiTS(forTypes(document) as never, { alphabetize: true, defaultNonNullable: false });
  return head + astToString(nodes);
}

/** Without examples, which nothing reads there, and errors, which the client throws. */
function forTypes(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(forTypes);
  if (typeof part !== "object" || part === null) return part;
  const kept = Object.entries(part).filter(
    ([key, value]) => key !== "examples" && !(key === "default" && (value as { content?: unknown } | null)?.content),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, forTypes(value)]));
}

export async function readGenerated(name: keyof typeof generatedFiles): Promise<string> {
  return await readFile(join(root, generatedFiles[name]), "utf8");
}

async function writeGenerated(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generate(writeGenerated);
