import type { Configuration } from "../configuration/schema.ts";
import type { Finding, StepBase } from "./subsystem.ts";

/** Who asks for a change, and from where: kept with the generation and shown in the history. */
export type Author = {
  user: string;
  /** Address of the client, or `local` for the socket, `console`, `answer-file`, `boot`. */
  source: string;
};

export type GenerationMetadata = {
  generation: number;
  /** The generation it was made from; 0 for the first. */
  parent: number;
  author: string;
  source: string;
  /** RFC 3339, UTC. */
  time: string;
  message: string;
  schemaVersion: number;
};

export type CommitRequest = {
  author: Author;
  message: string;
  /**
   * From the current configuration to the wanted one. Called when the commit's turn has come, so that it sees what is
   * current then; it throws `stale`, `not-found` or `exists` when that is not what the caller believed.
   */
  change(current: Configuration): Configuration;
  /** Verify, check and plan, but change nothing. */
  dryRun?: boolean;
};

export type CommitResult = {
  /** The generation that is current now. */
  generation: number;
  warnings: Finding[];
  /** What was done to the machine, or would be by a dry run. */
  steps: (StepBase & { subsystem: string })[];
};

/** One object that differs between two generations, as unified diff of its YAML with secrets redacted. */
export type Difference = {
  /** Path in the generation, without its ending: `farms/web`. */
  object: string;
  change: "added" | "removed" | "changed";
  text: string;
};

/** The one way to read and change what the operator wants. */
export type ConfigurationControl = {
  current(): { generation: number; configuration: Configuration };
  commit(request: CommitRequest): Promise<CommitResult>;
  /** Newest first. */
  history(): Promise<GenerationMetadata[]>;
  /** Throws `not-found` for a generation that is gone. */
  read(generation: number): Promise<Configuration>;
  diff(from: number, to: number): Promise<Difference[]>;
  /** Makes a new generation with the content of an old one. */
  rollback(generation: number, author: Author): Promise<CommitResult>;
  /** Brings the machine to the current configuration: at boot, after a daemon died, or when drift was found. */
  reconcile(reason: string): Promise<void>;
};
