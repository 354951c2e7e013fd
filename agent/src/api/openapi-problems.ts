import { catalogue, type ErrorCode } from "../errors.ts";

/**
 * Which errors an operation can answer, from its shape. A code that no list names comes from changing the configuration, so
 * a new code of the catalogue stands with every change from the first day.
 */
const always: readonly ErrorCode[] = ["bad-input", "too-many-requests", "not-ready", "internal"];
const unlessPublic: readonly ErrorCode[] = ["unauthenticated", "forbidden"];
const withParameters: readonly ErrorCode[] = ["not-found"];
const withBody: readonly ErrorCode[] = ["too-large", "unsupported-type"];
/** Of reading files and of commands, which most answers come from. */
const unlessOpen: readonly ErrorCode[] = ["command-failed", "corrupt"];
/** The answers to an `Idempotency-Key`, of POST alone. */
export const withKey: readonly ErrorCode[] = ["key-in-use", "key-reused"];
/** Of no operation, for the method is what is wrong; of logging in alone. */
const never: readonly ErrorCode[] = ["method-not-allowed", "second-factor-required"];

/** Of the few routes that say so. */
const declared: readonly ErrorCode[] = ["too-many-jobs", "unended", "bad-backup"];

export type OperationShape = {
  isPublic: boolean;
  hasParameters: boolean;
  hasBody: boolean;
  /** Commits a change of the configuration. */
  changes: boolean;
  /** What the route declares beside. */
  errors: readonly ErrorCode[];
};

export function errorsOf({ isPublic, hasParameters, hasBody, changes, errors }: OperationShape): ErrorCode[] {
  const codes = new Set<ErrorCode>([...always, ...errors]);
  const add = (list: readonly ErrorCode[]) => list.forEach((code) => void codes.add(code));
  if (!isPublic) add([...unlessPublic, ...unlessOpen]);
  if (hasParameters) add(withParameters);
  if (hasBody) add(withBody);
  if (changes) add(codesOfChanges());
  return [...codes];
}

function codesOfChanges(): ErrorCode[] {
  const others = new Set([...always, ...unlessPublic, ...withBody, ...unlessOpen, ...withKey, ...never, ...declared]);
  return (Object.keys(catalogue) as ErrorCode[]).filter((code) => !others.has(code));
}

/** The responses of the errors, by status. Statuses with several codes have one example for each. */
export function problemResponses(codes: readonly ErrorCode[]): Record<string, object> {
  const statuses = [...new Set(codes.map((code) => catalogue[code].http))].sort((one, other) => one - other);
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]));
}

/** One response for each status of the catalogue. */
export function problemComponents(): Record<string, object> {
  const codes = Object.keys(catalogue) as ErrorCode[];
  const statuses = [...new Set(codes.map((code) => catalogue[code].http))].sort((one, other) => one - other);
  return Object.fromEntries(
    statuses.map((status) => {
      const own = codes.filter((code) => catalogue[code].http === status);
      return [
        `Problem${status}`,
        {
          description: own.map((code) => `\`${code}\`: ${catalogue[code].title}`).join(". "),
          headers: {
            "Request-Id": { $ref: "#/components/headers/RequestId" },
            ...(status === 429 ? { "Retry-After": { $ref: "#/components/headers/RetryAfter" } } : {}),
            ...(status === 401 ? { "WWW-Authenticate": { $ref: "#/components/headers/WwwAuthenticate" } } : {}),
          },
          content: {
            "application/problem+json": {
              schema: { $ref: "#/components/schemas/Problem" },
              examples: Object.fromEntries(own.map((code) => [code, { value: exampleProblem(code) }])),
            },
          },
        },
      ];
    }),
  );
}

/** What the detail says in an example; codes without one show their title. */
const details: Partial<Record<ErrorCode, { detail: string; path?: string }>> = {
  "bad-input": { detail: "expected a port from 1 to 65535", path: "farms.web.backends.b1.port" },
  unauthenticated: { detail: "the session has ended: log in again" },
  "second-factor-required": { detail: "the password is right; send the challenge with a code of: totp" },
  forbidden: { detail: "user guest does not have the permission farms:update" },
  "not-found": { detail: "there is no farm web" },
  "method-not-allowed": { detail: "expected one of GET, HEAD, POST" },
  exists: { detail: "there is a farm web already" },
  "awaiting-confirmation": {
    detail:
      "generation 8 by admin (192.0.2.7) awaits its confirmation until 2026-01-02T03:09:05.000Z: confirm it or take it back first",
  },
  stale: { detail: "farm web changed since it was read: read it again and repeat the change" },
  "address-taken": {
    detail: "another host has 192.0.2.10: 02:00:5e:10:00:09 answers on nic0 (force takes it all the same)",
    path: "virtualAddresses.web.address",
  },
  "invalid-configuration": { detail: "the box does not have this address", path: "farms.web.virtualAddresses.0" },
  "too-many-requests": { detail: "try again in 5 s" },
  "apply-failed": { detail: "l4: add farm web: nftlb: no answer (everything was put back)" },
};

function exampleProblem(code: ErrorCode): object {
  const { http: status, title } = catalogue[code];
  const { detail = title, path } = details[code] ?? {};
  return {
    title,
    status,
    detail: path === undefined ? detail : `${path}: ${detail}`,
    code,
    problems: path === undefined ? [] : [{ path, message: detail }],
    requestId: "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
  };
}
