import type { Configuration } from "../configuration/schema.ts";
import type { ErrorCode, Problem } from "../errors.ts";
import type { Finding, StepBase } from "./subsystem.ts";

/** Who asks for a change, and from where: kept with the generation and shown in the history. */
export type Author = {
  user: string;
  /** Address of the client, `ssh` and one for the socket by way of SSH, or `local` for the socket, `console`, `answer-file`, `boot`, `timer`. */
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

/** A generation of the history. Not compatible: a newer system wrote it, and this one cannot read it. */
export type GenerationRecord = GenerationMetadata & { compatible: boolean };

/**
 * The generation that was current cannot be used, `serving` stands in for it (0: none does). damaged: its files are not what
 * was written; incompatible: a newer system wrote it.
 */
export type Damage = { generation: number; serving: number; reason: "damaged" | "incompatible"; message: string };

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
  /** The generation the caller made the change from. Throws `stale` when another one is current by then. */
  madeFrom?: number;
  /**
   * Minutes in which somebody has to confirm the change, or it goes back by itself. 0 waives that. Left out, a change that
   * can cut off a remote operator has to be confirmed all the same.
   */
  confirmWithin?: number | undefined;
  /** Takes addresses that another host has. What was found is a warning then, and `forced` in the result. */
  force?: boolean;
};

export type CommitResult = {
  /** The generation that is current now. */
  generation: number;
  warnings: Finding[];
  /** What was done to the machine, or would be by a dry run. */
  steps: (StepBase & { subsystem: string })[];
  /** What changed, or would: worked out when asked for, for it costs with many objects. */
  compare(): Difference[];
  /** How the change can cut off an operator who works over the network. */
  reasons: string[];
  /** Minutes in which the change has to be confirmed; 0 when it stays without. Of a dry run: what it would be. */
  confirmWithin: number;
  /** Set when it has to be confirmed. */
  pending?: PendingCommit;
  /** What would have refused the commit, had it not been forced. */
  forced?: Problem[];
};

/** A commit that stands until a moment, unless it is confirmed. */
export type PendingCommit = {
  /** The generation that stands for now. */
  generation: number;
  /** The confirmed one, which comes back; 0: none, and the first boot begins again. */
  parent: number;
  author: string;
  source: string;
  message: string;
  /** RFC 3339, UTC: since when, and until when. The time that counts is that of the boot, which no clock jump moves. */
  time: string;
  deadline: string;
  /** How the change can cut off the operator; none when the confirmation was asked for. */
  reasons: string[];
};

/** One object that differs between two generations, as unified diff of its YAML with secrets redacted. */
export type Difference = {
  /** Path in the generation, without its ending: `farms/web`. */
  object: string;
  change: "added" | "removed" | "changed";
  text: string;
};

/** What happens to the configuration, for whoever wants to be told: the event stream, the audit log, the peer node. */
export type ControlEvent = { /** RFC 3339, UTC. */ time: string } & (
  | ({ kind: "committed"; changes: Pick<Difference, "object" | "change">[] } & GenerationMetadata)
  | ({ kind: "awaiting-confirmation" } & PendingCommit)
  | { kind: "confirmed"; generation: number; author: string; source: string }
  /**
   * `generation` is current and has the content of `to` again; `from` was not confirmed, or somebody did not wait for that.
   * There is no `committed` beside it.
   */
  | {
      kind: "reverted";
      generation: number;
      from: number;
      to: number;
      reason: "time-out" | "restart" | "asked";
      author: string;
      source: string;
    }
  | ({ kind: "configuration-damaged" } & Damage)
  | {
      kind: "refused";
      author: string;
      source: string;
      message: string;
      code: ErrorCode;
      reason: string;
      problems: Problem[];
    }
);

export type ControlListener = (event: ControlEvent) => void;

/** The one way to read and change what the operator wants. */
export type ConfigurationControl = {
  current(): { generation: number; configuration: Configuration };
  commit(request: CommitRequest): Promise<CommitResult>;
  /** The commit that waits for its confirmation. */
  pending(): PendingCommit | undefined;
  /** Makes the pending commit stay. Throws `not-found` when there is none, `stale` when it is not `generation`. */
  confirm(author: Author, generation?: number): Promise<PendingCommit>;
  /** Takes the pending commit back at once. Throws `not-found` when there is none. */
  revert(author: Author): Promise<CommitResult>;
  /**
   * Call once, before the configuration is served: goes back when the machine was restarted with an unconfirmed commit, or
   * its time is up; otherwise goes on counting.
   */
  resume(): Promise<void>;
  /** Reads every generation again and follows the chain of hashes: newest first, `problem` where one is damaged or altered. */
  verify(): Promise<{ generation: number; problem?: string }[]>;
  /** Set while another generation stands in for the one that was current, until the next commit. */
  damage(): Damage | undefined;
  /** Newest first. */
  history(): Promise<GenerationRecord[]>;
  /** Throws `not-found` for a generation that is gone, `incompatible` for one of a newer system. */
  read(generation: number): Promise<Configuration>;
  diff(from: number, to: number): Promise<Difference[]>;
  /** Makes a new generation with the content of an old one. */
  rollback(
    generation: number,
    author: Author,
    options?: Pick<CommitRequest, "confirmWithin" | "dryRun">,
  ): Promise<CommitResult>;
  /** Brings the machine to the current configuration: at boot, after a daemon died, or when drift was found. */
  reconcile(reason: string): Promise<void>;
  /**
   * Calls the listener for each event, in order, until the function it returns is called. Damage found when the store was
   * opened is told to every new listener. A listener that throws is logged and called again.
   */
  subscribe(listener: ControlListener): () => void;
};
