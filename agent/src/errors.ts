/**
 * Every error the agent shows to a person or a program, with the HTTP status and the exit status of the `steelyard`
 * command it maps to. One catalogue, so that the same mistake reads the same from the API, the CLI and the console.
 */
export const catalogue = {
  "bad-input": { http: 400, exit: 2, title: "The request is not valid" },
  unauthenticated: { http: 401, exit: 4, title: "Log in first" },
  "second-factor-required": { http: 401, exit: 4, title: "A second factor is wanted" },
  forbidden: { http: 403, exit: 4, title: "Not allowed" },
  "not-found": { http: 404, exit: 3, title: "There is no such object" },
  "method-not-allowed": { http: 405, exit: 2, title: "The resource does not know this method" },
  exists: { http: 409, exit: 3, title: "The object exists already" },
  "in-use": { http: 409, exit: 3, title: "It is in use" },
  "address-taken": { http: 409, exit: 3, title: "Another host has the address" },
  ambiguous: { http: 409, exit: 2, title: "Several would fit: say which" },
  "awaiting-confirmation": { http: 409, exit: 5, title: "Another change awaits its confirmation" },
  "key-in-use": { http: 409, exit: 5, title: "The Idempotency-Key is in use" },
  "too-many-jobs": { http: 409, exit: 5, title: "Too many jobs wait already" },
  unended: { http: 409, exit: 5, title: "The job has not ended" },
  stale: { http: 412, exit: 5, title: "The object changed since it was read" },
  "too-large": { http: 413, exit: 2, title: "The request is too large" },
  "unsupported-type": { http: 415, exit: 2, title: "The request has a media type that is not understood" },
  "invalid-configuration": { http: 422, exit: 2, title: "The configuration is not valid" },
  "bad-backup": { http: 422, exit: 1, title: "The backup cannot be used" },
  "key-reused": { http: 422, exit: 2, title: "The Idempotency-Key was used for another request" },
  "too-many-requests": { http: 429, exit: 4, title: "Too many requests" },
  "apply-failed": { http: 502, exit: 6, title: "The change could not be applied and was taken back" },
  "disk-full": { http: 507, exit: 6, title: "The disk is full, and nothing was changed" },
  "not-ready": { http: 503, exit: 7, title: "The appliance is not ready" },
  "command-failed": { http: 500, exit: 1, title: "A command failed" },
  incompatible: { http: 409, exit: 1, title: "A newer system wrote it" },
  corrupt: { http: 500, exit: 1, title: "Stored data is damaged" },
  internal: { http: 500, exit: 1, title: "Internal error" },
} as const;

export type ErrorCode = keyof typeof catalogue;

/** One thing that is wrong with the input: where (a JSON path such as `farms.web.backends.b1.port`) and what is expected. */
export type Problem = { path: string; message: string };

/** An error with a code of the catalogue. `problems` lists every offending field when there are fields to name. */
export class SteelyardError extends Error {
  readonly code: ErrorCode;
  readonly problems: Problem[];

  constructor(code: ErrorCode, message: string, options: { problems?: Problem[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SteelyardError";
    this.code = code;
    this.problems = options.problems ?? [];
  }
}

/** `bad-input` that names the fields in its message too. */
export function badInput(problems: Problem[]): SteelyardError {
  const words = problems.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  return new SteelyardError("bad-input", words.join("; "), { problems });
}

/** Throws `address-taken` when there are addresses that other hosts have, with all of them. */
export function refuseTaken(problems: Problem[]): void {
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("address-taken", `${words} (force takes it all the same)`, { problems });
}

/** The words of whatever was thrown, for a log or an answer. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
