import type { Command, Option } from "commander";
import { describeFields } from "./commands.ts";
import { describeExitStatuses, environmentRules, valueRules } from "./help.ts";
import type { ApiDocument } from "./model.ts";
import { noteOf } from "./notes.ts";

/** docs/cli.md, written from the program itself. Pure. */

export function writeManual(program: Command, document: ApiDocument): string {
  const sections = program.commands.flatMap((command) => writeSection(command, document));
  const rows = (pairs: readonly (readonly [string, string])[]) =>
    pairs.map(([one, other]) => `| \`${one.replaceAll("|", "\\|")}\` | ${escapeCell(other)} |`);
  return [
    head,
    "## Options for all",
    "| option | |\n|---|---|",
    ...rows(program.options.map((each) => [each.flags, each.description])),
    "",
    "## Values",
    "| argument | |\n|---|---|",
    ...rows(valueRules),
    "",
    "## Environment",
    "| variable | |\n|---|---|",
    ...rows(environmentRules),
    "",
    "## Exit statuses",
    "| status | |\n|---|---|",
    ...describeExitStatuses().map(({ status, meaning }) => `| ${status} | ${meaning} |`),
    "",
    remote,
    "## Commands",
    ...sections,
  ]
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .concat("\n");
}

const head = `<!-- Written from the program by \`npm run generate\`: do not edit. -->
# The \`steelyard\` command

On the box it talks to the agent over the local socket, root as \`admin\`, everybody else with a shell under the own name ([access](access.md)). It is a client of the [API](api.md): every object is a noun with the verbs
\`list\`, \`show\`, \`create\`, \`set\` and \`delete\`, made from the API's own description. \`--help\` of a command lists its fields with their values, units and defaults.

\`\`\`sh
steelyard address add web 192.0.2.10/24 --interface nic0
steelyard farm create web --vip 192.0.2.10 --port 80 --backend b1=198.51.100.1:80,weight=3 --backend b2=198.51.100.2:80
steelyard farm set web algorithm=round-robin backends.b1.state=maintenance
steelyard farm show web
steelyard config diff
steelyard config rollback 3 --dry-run
\`\`\`

Tables are for people: cut to the width of the terminal (\`~\` marks it), coloured on one. Programs take \`--json\` or \`--yaml\`, the API's own answers. Warnings and errors go to standard error; an error names the field and what is expected. There is
no pager. Nothing needs more than a plain terminal: it works over SSH, on a serial line and with \`TERM=dumb\`.
`;

const remote = `## Another box

\`\`\`sh
steelyard login https://192.0.2.5:444                # shows the fingerprint of its certificate, asks for it and the password
steelyard farm list                                  # drives that box from now on
steelyard logout
STEELYARD_TOKEN=… steelyard --url https://192.0.2.5:444 --fingerprint AB:CD:… farm list
\`\`\`

The profile is \`~/.config/steelyard/default.yaml\` (\`--profile name\` keeps more than one), of mode 0600; one that others can read is refused. Nothing is sent, no token and no password, before the certificate is found good: an authority vouches for it, or its
fingerprint is the one that was agreed on.

\`make cli\` writes the whole command as one file, \`build/cli/steelyard.mjs\`. It runs on any computer with Node 20 or later: \`node steelyard.mjs --help\`.

## Completion

The image completes in bash. Elsewhere: \`eval "$(steelyard completion bash)"\` in \`~/.bashrc\`; \`steelyard completion zsh > ~/.zfunc/_steelyard\`; \`steelyard completion fish > ~/.config/fish/completions/steelyard.fish\`. Nouns, verbs, options, fields and
their values come from the command, names of objects from the box.
`;

function writeSection(command: Command, document: ApiDocument): string[] {
  const commands = listCommands(command);
  const own = command.commands.length > 0 ? `${command.description()}\n` : "";
  return [`### ${command.name()}\n`, own, ...commands.flatMap((each) => writeCommand(each, document))];
}

/** The commands that do something. */
export function listCommands(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(listCommands);
}

/** `steelyard farm list` */
export function nameCommand(command: Command): string {
  return command.parent ? `${nameCommand(command.parent)} ${command.name()}` : command.name();
}

function writeCommand(command: Command, document: ApiDocument): string[] {
  const { api, examples } = noteOf(command);
  const argumentsOf = command.registeredArguments.map((each) => {
    const name = each.variadic ? `${each.name().replace(/\.*$/, "")}…` : each.name();
    return each.required ? `<${name}>` : `[${name}]`;
  });
  const fields = api && api.verb === "create" ? describeFields(api, document) : "";
  return [
    `#### \`${[nameCommand(command), ...argumentsOf].join(" ")}\`\n`,
    `${escapeText(sentence(command.description()))}\n`,
    ...command.options.map((each) => `- \`${each.flags}\`: ${escapeText(describeOption(each))}`),
    "",
    "```sh",
    ...examples,
    "```\n",
    ...(fields === ""
      ? []
      : [
          `<details><summary>Fields</summary>\n\n\`\`\`text\n${fields.trim().replace("Fields:\n", "")}\n\`\`\`\n</details>\n`,
        ]),
  ];
}

function describeOption({ description, mandatory }: Option): string {
  return mandatory ? `${description} (required)` : description;
}

function sentence(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}.`;
}

function escapeText(text: string): string {
  return text.replaceAll("<", "&lt;").replaceAll("*", "\\*");
}

function escapeCell(text: string): string {
  return escapeText(text).replaceAll("|", "\\|");
}
