import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import t from "tap";
import { generate, generatedFiles, readGenerated } from "../../../scripts/generate.ts";
import { mergeFields, schemaOfBody } from "./fields.ts";
import { listCommands, nameCommand } from "./manual.ts";
import { deriveCommands } from "./model.ts";
import { noteOf } from "./notes.ts";
import { apiDocument, makeProgram } from "./program.ts";
import { findSchema } from "./schemas.ts";

const nothing = { print: () => {}, warn: () => {}, write: () => {}, colours: false, width: undefined };
const surroundings = { output: nothing, environment: {}, input: process.stdin };

t.test(
  "what is generated from the API is not stale: the client, the manuals, the completion (npm run generate)",
  async (t) => {
    const fresh = await generate();
    for (const [name, path] of Object.entries(generatedFiles)) {
      const kept = await readGenerated(name as keyof typeof generatedFiles);
      // Comparing texts of thousands of lines would print them all.
      t.ok(kept === fresh[name as keyof typeof generatedFiles], `${path} is what npm run generate writes`);
    }
  },
);

t.test("every operation of the API has a command, and every command an example", async (t) => {
  const program = makeProgram(surroundings);
  const commands = listCommands(program);
  const names = new Set(commands.map(nameCommand));
  for (const { words, operation } of deriveCommands(apiDocument))
    t.ok(names.has(["steelyard", ...words].join(" ")), `${operation.operationId}: steelyard ${words.join(" ")}`);
  for (const command of commands) {
    const [example] = noteOf(command).examples;
    const name = nameCommand(command);
    t.ok(example?.includes(name), `${name}: ${example}`);
    t.not(command.description(), "", name);
  }
});

/** The words of each `steelyard …` in the blocks of a document, as a shell would split them, up to a pipe or the like. */
function commandsIn(markdown: string): string[][] {
  const blocks = [...markdown.matchAll(/^```(\w*)\n(.*?)^```/gms)];
  return blocks
    .flatMap(([, language = "", block = ""]) => (["", "sh"].includes(language) ? [block] : []))
    .flatMap((block) => block.replace(/\\\n\s*/g, " ").split("\n"))
    .flatMap((line) => {
      const [, command] = /^\s*(?:\$ |# )?(?:[A-Z_]+=\S+ )*steelyard (.+)$/.exec(line) ?? [];
      return command === undefined ? [] : [splitWords(command)];
    });
}

function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const [token] of line.matchAll(/(?:'[^']*'|"(?:\$\([^)]*\)|[^"])*"|[^\s'"])+/g)) {
    if (/^(?:[|;>&#]|&&)/.test(token)) break;
    words.push(token.replace(/'([^']*)'|"([^"]*)"/g, (_, one, other) => one ?? other));
  }
  return words;
}

t.test("every command line in the documentation is one that the command takes", async (t) => {
  const directory = join(dirname(fileURLToPath(import.meta.url)), "../../../docs");
  const names = (await readdir(directory)).filter((each) => each.endsWith(".md"));
  let count = 0;
  for (const name of names) {
    for (const words of commandsIn(await readFile(join(directory, name), "utf8"))) {
      const complaint = await tryCommand(words).catch((error: Error) => error.message);
      t.equal(complaint, "", `${name}: steelyard ${words.join(" ")}`);
      count += 1;
    }
  }
  t.ok(count > 100, `${count} lines`);
});

/** Reads a command line down to the types of its fields, and does nothing. Throws what is wrong with it. */
async function tryCommand(words: readonly string[]): Promise<string> {
  const warnings: string[] = [];
  const output = { ...nothing, warn: (text: string) => void warnings.push(text) };
  const program = makeProgram({ ...surroundings, output, runConsole: async () => 0 });
  let fields: string[] = [];
  let called: Command | undefined;
  const quieten = (command: Command) => {
    if (command.commands.length === 0)
      command.action((...received: unknown[]) => {
        called = received.at(-1) as Command;
        const variadic = called.registeredArguments.findIndex((each) => each.name().startsWith("field=value"));
        fields = variadic < 0 ? [] : ((received[variadic] as string[] | undefined) ?? []);
      });
    for (const each of command.commands) quieten(each);
  };
  quieten(program);
  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if ((error as { exitCode?: number }).exitCode === 0) return "";
    return warnings.join(" ") || (error as Error).message;
  }
  const { api } = called ? noteOf(called) : { api: undefined };
  const schema = api && schemaOfBody(apiDocument, api.method, api.path);
  if (!schema) return "";
  for (const word of fields) {
    const [, path = ""] = /^([A-Za-z0-9_.-]+?)[:@]?=/.exec(word) ?? [];
    if (!findSchema(apiDocument, schema, path.split("."))) return `there is no field ${path}`;
  }
  mergeFields(fields, (segments) => findSchema(apiDocument, schema, segments));
  return "";
}
