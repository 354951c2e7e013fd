import { hashPassword } from "../access/password.ts";
import { user } from "../access/schema.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Author, CommitResult, ConfigurationControl } from "../commit/control.ts";
import { describeIssues } from "../configuration/issues.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { type FirstBootReport, summarizeAnswers, writeReport } from "./report.ts";
import { type Answers, answers } from "./schema.ts";

/** True while the box has no configuration: only then is there a first boot. */
export function isFirstBoot(control: ConfigurationControl): boolean {
  return control.current().generation === 0;
}

/** True until there is a configuration that stays: its first one may still go back. */
export function isOpen(control: ConfigurationControl): boolean {
  return isFirstBoot(control) || control.pending()?.parent === 0;
}

/** Checks raw answers. Throws `bad-input` with every problem; values are never in the messages. */
export function parseAnswers(raw: unknown): Answers {
  const parsed = answers.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw badInput(describeIssues(parsed.error));
}

type FirstBootOptions = {
  author?: Author;
  origin?: Pick<FirstBootReport, "source" | "sha256">;
  confirmWithin?: number | undefined;
  /** Checks everything and leaves nothing behind. */
  dryRun?: boolean;
};

/**
 * Commits the first configuration. Throws `bad-input` for answers that are not valid by themselves, `invalid-configuration`
 * or `apply-failed` from the commit, and `exists` once there is a configuration, also when another console was faster.
 * Paths are those of the answers: `admin.password`, not `users.admin.passwordHash`.
 */
export async function completeFirstBoot(
  control: ConfigurationControl,
  machine: Machine,
  raw: unknown,
  options: FirstBootOptions = {},
): Promise<CommitResult> {
  const { author = { user: "admin", source: "console" }, origin = { source: "the console" }, dryRun = false } = options;
  refuseLate(control);
  const given = parseAnswers(raw);
  const hash =
    given.admin.password === undefined
      ? given.admin.passwordHash
      : await hashPassword(given.admin.password, machine.randomBytes);
  try {
    const done = await control.commit({
      author,
      message: "first boot",
      confirmWithin: options.confirmWithin,
      dryRun,
      change: () => {
        refuseLate(control);
        return makeConfiguration(given, hash);
      },
    });
    if (dryRun) return done;
    const { generation } = done;
    const warnings = done.warnings.map(({ path, message }) => ({ path, message }));
    const applied = summarizeAnswers(given);
    await writeReport(machine, { ...origin, outcome: "applied", generation, applied, warnings, problems: [] });
    return done;
  } catch (error) {
    throw error instanceof SteelyardError ? inTermsOfAnswers(error) : error;
  }
}

function refuseLate(control: ConfigurationControl): void {
  if (!isFirstBoot(control)) throw new SteelyardError("exists", "the appliance is configured already");
}

function makeConfiguration(given: Answers, hash: string | undefined): Configuration {
  const { system, interfaces, virtualAddresses, farms, certificates } = given;
  const admin = user.parse({ roles: ["admin"], passwordHash: hash, sshKeys: given.admin.sshKeys });
  return { ...emptyConfiguration(), system, interfaces, virtualAddresses, farms, certificates, users: { admin } };
}

function inTermsOfAnswers(error: SteelyardError): SteelyardError {
  const problems = error.problems.map(({ path, message }) => ({
    path: path.replace(/^users(?:\.admin)?\b/, "admin").replace(/^admin\.passwordHash$/, "admin.password"),
    message,
  }));
  return new SteelyardError(error.code, error.message, { problems, cause: error });
}
