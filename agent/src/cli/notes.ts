import type { Command } from "commander";
import type { ApiCommand } from "./model.ts";

/** What commander has no place for: examples for the manual, and the operation a command was made from, for completion. */
export type Notes = {
  examples: string[];
  api?: ApiCommand;
  /** A list written by hand that takes the filters of the API. */
  filters?: boolean;
};

const notes = new WeakMap<Command, Notes>();

export function noteOf(command: Command): Notes {
  return notes.get(command) ?? { examples: [] };
}

/** Adds to what is known of a command; gives the command back. */
export function note(command: Command, more: Partial<Notes>): Command {
  notes.set(command, { ...noteOf(command), ...more });
  return command;
}
