import t from "tap";
import { generate, generatedFiles, readGenerated } from "../../../scripts/generate.ts";
import { listCommands, nameCommand } from "./manual.ts";
import { deriveCommands } from "./model.ts";
import { noteOf } from "./notes.ts";
import { apiDocument, makeProgram } from "./program.ts";

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
