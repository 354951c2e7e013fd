import type { z } from "zod";
import type { Terminal } from "./terminal.ts";

/** Questions of the wizard: each is asked until its answer is good, and says what it expects when it is not. */

export type Asking = { terminal: Terminal; signal: AbortSignal | undefined };

type Question<Answer> = {
  text: string;
  /** What Enter alone stands for, as it would be typed. */
  preset?: string;
  /** The answer, or a sentence that says what is expected. */
  read(typed: string): { answer: Answer } | { complaint: string };
};

export async function ask<Answer>({ terminal, signal }: Asking, question: Question<Answer>): Promise<Answer> {
  const { text, preset, read } = question;
  const prompt = preset === undefined ? `${text}: ` : `${text} [${preset}]: `;
  for (;;) {
    const typed = await terminal.ask(prompt, signal);
    const result = read(typed === "" ? (preset ?? "") : typed);
    if ("answer" in result) return result.answer;
    terminal.write(`  ${capitalize(result.complaint)}.\n`);
  }
}

/** One of a few words; their beginnings will do. */
export async function askChoice<Choice extends string>(
  asking: Asking,
  text: string,
  choices: readonly Choice[],
  preset: Choice,
): Promise<Choice> {
  return await ask(asking, {
    text: `${text} (${choices.join(", ")})`,
    preset,
    read: (typed) => {
      const found = choices.find((each) => typed !== "" && each.startsWith(typed.toLowerCase()));
      return found === undefined ? { complaint: `expected ${listWords(choices)}` } : { answer: found };
    },
  });
}

export async function askYesNo(asking: Asking, text: string, preset: boolean): Promise<boolean> {
  return (await askChoice(asking, text, ["yes", "no"], preset ? "yes" : "no")) === "yes";
}

/** A value that a schema of the configuration understands. */
export async function askField(
  asking: Asking,
  text: string,
  schema: z.ZodType<string>,
  preset?: string,
): Promise<string> {
  return await ask(asking, {
    text,
    ...(preset === undefined ? {} : { preset }),
    read: (typed) => check(schema, typed),
  });
}

/** Several such values, with commas or spaces between them; `-` or nothing for none. */
export async function askList(
  asking: Asking,
  text: string,
  schema: z.ZodType<string>,
  preset: string[],
): Promise<string[]> {
  return await ask<string[]>(asking, {
    text: `${text} (- for none)`,
    preset: preset.length > 0 ? preset.join(", ") : "-",
    read: (typed) => {
      const answer: string[] = [];
      for (const word of typed.split(/[\s,]+/).filter((each) => each !== "" && each !== "-")) {
        const result = check(schema, word);
        if ("complaint" in result) return { complaint: `${word}: ${result.complaint}` };
        answer.push(result.answer);
      }
      return { answer };
    },
  });
}

/** What a schema makes of a text, or what it has against it. */
export function check<Answer>(schema: z.ZodType<Answer>, typed: unknown): { answer: Answer } | { complaint: string } {
  const result = schema.safeParse(typed);
  if (result.success) return { answer: result.data };
  return { complaint: result.error.issues[0]?.message ?? "expected something else" };
}

function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
