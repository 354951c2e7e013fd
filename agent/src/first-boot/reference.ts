import { type Field, listFields, type Schema, type Schemas } from "../cli/schemas.ts";

/** docs/answer-file.md, written from the schema of the answers. Pure. */

const head = `<!-- Written from the schema of the answers by \`npm run generate\`: do not edit. -->
# The answer file: every field

What a first boot can be told. [first-boot.md](first-boot.md) says where the file may come from and what becomes of it; this page is made from the schema that checks it. The file is YAML 1.2 (so JSON
will do): one document of at most 1 MiB, without aliases. A field that is not named here is refused, and so is a value that is none of those a field takes: nothing is configured then, and
every mistake is told at once with its line.

\`\`\`yaml
#steelyard
version: 1
admin:
  passwordHash: "$7$…"        # steelyard hash-password
  sshKeys: ["ssh-ed25519 AAAA… me"]
system:
  hostname: lb1
  timeZone: Europe/Berlin
  dns: { servers: [192.0.2.53] }
  ntp: { servers: [{ address: time.example.com, nts: true }] }
  management: { interfaces: [nic0] }
interfaces:
  nic0: { ipv4: { method: static, addresses: [192.0.2.5/24], gateway: 192.0.2.1 } }
\`\`\`

\`<name>\` stands for a name of your choice, \`,…\` after a type for a list of it, JSON for an object or a list of objects. Required means: where the object it belongs to is given.
`;

export function writeReference(document: Schemas): string {
  const root = document.components.schemas.FirstBootAnswersInput ?? {};
  const sections = Object.entries(root.properties ?? {}).flatMap(([name, schema]) => {
    const whole: Schema = { type: "object", properties: { [name]: schema }, required: root.required ?? [] };
    const description = schema.description ? [`${schema.description}.`, ""] : [];
    return ["", `## ${name}`, "", ...description, ...table(listFields(document, whole))];
  });
  return `${[head.trimEnd(), ...sections].join("\n")}\n`;
}

function table(fields: readonly Field[]): string[] {
  const rows = fields.map(({ name, takes, required, default: fallback, description = "", example }) => {
    const otherwise = required ? "required" : fallback === undefined ? "" : `\`${JSON.stringify(fallback)}\``;
    const like = example === undefined || typeof example === "object" ? "" : `; like \`${example}\``;
    return `| \`${name}\` | ${cell(takes)} | ${cell(otherwise)} | ${cell(description + like)} |`;
  });
  return ["| field | takes | left out | what |", "|---|---|---|---|", ...rows];
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
