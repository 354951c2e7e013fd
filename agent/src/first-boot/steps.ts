import type { z } from "zod";
import type { BondProposal } from "../network/propose-bonds.ts";
import type { LinkStatus } from "../network/status.ts";
import type { Draft } from "./draft.ts";
import type { Trial } from "./keep.ts";
import type { Prompts } from "./prompts.ts";
import type { AnswersInput } from "./schema.ts";

/** What the screens of the first boot have in common. */

export type ShownLink = Pick<LinkStatus, "name" | "mac" | "driver" | "carrier" | "speed"> &
  Partial<Pick<LinkStatus, "neighbour">>;

export type ScreensOptions = {
  prompts: Prompts;
  readLinks(): Promise<readonly ShownLink[]>;
  /** Bonds that the cabling suggests, after so many seconds of listening. */
  proposeBonds(listen: number): Promise<readonly BondProposal[]>;
  /** Tries the addresses for a moment and says what answers, a line each. */
  testNetwork(draft: Draft): Promise<string[]>;
  /** Commits the answers until they are confirmed; throws what the commit says. */
  complete(answers: AnswersInput): Promise<Trial>;
  /** Milliseconds between two looks at the links, and at the time that is left. */
  interval?: number;
};

/** The password is empty until it is given, and stays so when there is only a key. */
export type Given = { draft: Draft; password: string };
export type Step = (options: ScreensOptions, given: Given) => Promise<Given>;

export const screens = 12;
export const title = (number: number, what: string) => `first boot, ${number} of ${screens}: ${what}`;
export const keys = "Enter goes on, Escape goes back.";

/** What a schema has against a text, as a sentence. */
export function complain(schema: z.ZodType, typed: unknown): string | undefined {
  const result = schema.safeParse(typed);
  if (result.success) return undefined;
  const words = result.error.issues[0]?.message ?? "expected something else";
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
}
