import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { SteelyardError } from "../errors.ts";
import { type ChangeOptions, type CommandContext, reportPlan } from "./context.ts";
import type { Fields } from "./fields.ts";
import { parseObject } from "./file.ts";
import { askOnTerminal } from "./password.ts";
import { commitWhole, readWhole, sendWhole } from "./transaction.ts";

/** `steelyard config edit`: the configuration, or an object of it, in an editor. */

export type EditOptions = ChangeOptions & { yes?: boolean };

/** Runs the editor on a file until it ends; the answer to a question. Tests bring their own. */
export type Dialogue = {
  runEditor(argv: readonly string[], file: string): Promise<void>;
  ask: ((question: string) => Promise<string>) | undefined;
};

const errorMark = "#! ";

/**
 * Shows what `where` names (`farms/web`, `farms`, `system`; nothing for all) as YAML in the operator's editor, has the box
 * check what was saved, shows what it would do, and commits it when told to. A mistake brings the editor back with the problem at the
 * top; saving that unchanged gives up. A configuration that changed meanwhile is not overwritten. What was written is kept
 * in its file whenever it was not committed.
 */
export async function editConfiguration(
  context: CommandContext,
  where: string | undefined,
  options: EditOptions,
  dialogue: Dialogue = openDialogue(context),
): Promise<void> {
  const { environment, output } = context;
  const { generation, configuration } = await readWhole(context);
  const path = (where ?? "").split("/").filter((part) => part !== "");
  const original = stringify(pick(configuration, path), { lineWidth: 0 });
  const message = options.message ?? `edit ${where ?? "the configuration"}`;
  const transaction = { ...options, message, generation };
  const head = `# ${where ?? "The whole configuration"}, generation ${generation}. Save and leave to go on; an empty file gives up.\n`;
  const directory = await mkdtemp(join(environment.XDG_RUNTIME_DIR || tmpdir(), "steelyard-"));
  const file = join(directory, `${path.join("-") || "configuration"}.yaml`);
  let [text, problem, keep] = [original, "", false];
  try {
    for (;;) {
      const shown = `${head}${comment(problem)}${text}`;
      await writeFile(file, shown, { mode: 0o600 });
      // An editor that dies must not take along what was saved.
      const written = async () => await readFile(file, "utf8");
      await dialogue.runEditor(chooseEditor(environment), file).catch(async (error) => {
        keep = (await written()) !== shown;
        throw error;
      });
      const saved = await written();
      text = withoutComments(saved, head);
      keep = text.trim() !== "" && text !== original;
      if (!keep) return output.print("nothing changed");
      if (problem !== "" && saved === shown) throw new SteelyardError("bad-input", problem);
      try {
        const wanted = replacePart(configuration, path, parseObject(text, file));
        const decision = await decide(context, wanted, transaction, options, dialogue);
        problem = "";
        if (decision === "again") continue;
        if (decision === "commit") await commitWhole(context, wanted, transaction);
        // Whoever said no may want the text; a dry run was no more than a question.
        keep = decision === "drop";
        return;
      } catch (error) {
        if (!isMistake(error) || !dialogue.ask) throw error;
        problem = describe(error);
      }
    }
  } finally {
    if (keep) output.warn(`what you wrote is kept in ${file}`);
    else await rm(directory, { recursive: true, force: true });
  }
}

type Decision = "commit" | "again" | "drop" | "nothing";

/** Shows what the change would do, and asks. */
async function decide(
  context: CommandContext,
  wanted: Fields,
  transaction: Parameters<typeof sendWhole>[2],
  options: EditOptions,
  { ask }: Dialogue,
): Promise<Decision> {
  if (options.dryRun) {
    await commitWhole(context, wanted, transaction);
    return "nothing";
  }
  const { body: plan } = await sendWhole(context, wanted, { ...transaction, dryRun: true });
  if ((plan.differences ?? []).length === 0) {
    context.output.print("nothing changed");
    return "nothing";
  }
  if (options.yes) return "commit";
  if (!ask) throw new SteelyardError("bad-input", "expected --yes or --dry-run where nobody can be asked");
  reportPlan(context.output, plan);
  const answer = await ask("Commit this? [y]es, [n]o, [e]dit again: ");
  if (/^e/i.test(answer)) return "again";
  return /^y/i.test(answer) ? "commit" : "drop";
}

/** The part of the configuration that a path names. Throws `not-found`. */
function pick(configuration: Fields, path: readonly string[]): unknown {
  let part: unknown = configuration;
  for (const [at, key] of path.entries()) {
    const object = part as Fields;
    if (at > 1 || typeof object !== "object" || object === null || !Object.hasOwn(object, key)) {
      const parts = Object.keys(configuration).join(", ");
      throw new SteelyardError(
        "not-found",
        `there is no ${path.join("/")}: expected ${parts}, or an object like farms/web`,
      );
    }
    part = object[key];
  }
  return part;
}

function replacePart(configuration: Fields, path: readonly string[], part: Fields): Fields {
  const [first, second] = path;
  if (first === undefined) return part;
  const value = second === undefined ? part : { ...(configuration[first] as Fields), [second]: part };
  return { ...configuration, [first]: value };
}

function comment(problem: string): string {
  return problem === "" ? "" : problem.replace(/^/gm, errorMark).concat("\n");
}

function withoutComments(text: string, head: string): string {
  const rest = text.startsWith(head) ? text.slice(head.length) : text;
  return rest
    .split("\n")
    .filter((line) => !line.startsWith(errorMark))
    .join("\n");
}

/** What the operator can mend in the editor. */
function isMistake(error: unknown): error is SteelyardError {
  return error instanceof SteelyardError && ["bad-input", "invalid-configuration"].includes(error.code);
}

function describe({ message, problems }: SteelyardError): string {
  if (problems.length === 0) return message;
  return problems.map(({ path, message: words }) => (path === "" ? words : `${path}: ${words}`)).join("\n");
}

function chooseEditor({ VISUAL, EDITOR }: NodeJS.ProcessEnv): string[] {
  return (VISUAL || EDITOR || "vi").split(/\s+/).filter((word) => word !== "");
}

function openDialogue({ input }: CommandContext): Dialogue {
  return { runEditor, ask: input.isTTY ? (question) => askOnTerminal(input, question) : undefined };
}

/** Ctrl-C is the editor's while it runs: the terminal sends it to us as well, and without us nobody would read the file. */
async function runEditor([command = "vi", ...rest]: readonly string[], file: string): Promise<void> {
  const ignore = () => {};
  for (const signal of ["SIGINT", "SIGQUIT"] as const) process.on(signal, ignore);
  try {
    await runToItsEnd(command, [...rest, file]);
  } finally {
    for (const signal of ["SIGINT", "SIGQUIT"] as const) process.off(signal, ignore);
  }
}

async function runToItsEnd(command: string, words: readonly string[]): Promise<void> {
  const complaint = await new Promise<string>((resolve) => {
    const editor = spawn(command, words, { stdio: "inherit" });
    editor.once("error", ({ message }) => resolve(`${message}: expected an editor in VISUAL or EDITOR`));
    editor.once("exit", (code, signal) => resolve(code === 0 ? "" : `${command} ended with ${code ?? signal}`));
  });
  if (complaint !== "") throw new SteelyardError("bad-input", complaint);
}
