import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { SecondFactorRequired } from "../access/challenges.ts";
import { TooManyRequests } from "../access/throttle.ts";
import type { Logger } from "../adapters/machine.ts";
import { describeIssues } from "../configuration/issues.ts";
import { badInput, catalogue, type ErrorCode, SteelyardError } from "../errors.ts";
import { tooLarge } from "./protocol.ts";

/** One thing that is wrong, or odd, with a field. */
export const problem = z.object({
  path: z.string().describe("The field, from the root of the configuration: farms.web.backends.b1.port"),
  message: z.string().describe("What is expected"),
});

/** An error as the API answers it: RFC 9457, with the catalogue's code and every offending field. */
export const problemDocument = z
  .object({
    title: z.string().describe("The same for every error of a code"),
    status: z.int().describe("The HTTP status"),
    detail: z.string().describe("What happened this time"),
    code: z.enum(Object.keys(catalogue) as [ErrorCode, ...ErrorCode[]]).describe("Stable name of the kind of error"),
    problems: z
      .array(problem)
      .describe("Each offending field: its path, such as farms.web.backends.b1.port, and what is expected"),
    requestId: z.string().describe("Also in the header Request-Id and in the log"),
    challenge: z.string().exactOptional().describe("With second-factor-required: to be sent back with a code"),
    factors: z
      .array(z.string())
      .exactOptional()
      .describe("With second-factor-required: what gives codes, such as totp"),
    expiresInSeconds: z.int().exactOptional().describe("With second-factor-required: how long the challenge is good"),
  })
  .meta({
    id: "Problem",
    examples: [
      {
        title: "The request is not valid",
        status: 400,
        detail: "farms.web.backends.b1.port: expected a port from 1 to 65535",
        code: "bad-input",
        problems: [{ path: "farms.web.backends.b1.port", message: "expected a port from 1 to 65535" }],
        requestId: "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
      },
    ],
  });

export type ProblemDocument = z.output<typeof problemDocument>;

/** Answers any error. What is not of the catalogue is logged whole and shown as `internal` without its words. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): FastifyReply {
  const known = toSteelyardError(error, request);
  if (!known) {
    log.error(`api: request ${request.id} ${request.method} ${request.url.split("?")[0]}: ${trace(error)}`);
    return answer(new SteelyardError("internal", "the log has the details, under the request id"), request, reply);
  }
  if (catalogue[known.code].http >= 500) log.warn(`api: request ${request.id}: ${known.code}: ${known.message}`);
  return answer(known, request, reply);
}

function answer(error: SteelyardError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { http: status, title } = catalogue[error.code];
  // RFC 6750, 3.1: a client that sent a token learns that a new one is wanted.
  const spent = /^Bearer /i.test(request.headers.authorization ?? "") ? ' error="invalid_token"' : "";
  if (error.code === "unauthenticated") reply.header("WWW-Authenticate", `Bearer${spent}`);
  if (error instanceof TooManyRequests) reply.header("Retry-After", error.retryAfterSeconds);
  const document: ProblemDocument = {
    title,
    status,
    detail: error.message,
    code: error.code,
    problems: error.problems,
    requestId: request.id,
    ...describeChallenge(error),
  };
  request.problem = document;
  return reply.code(status).type("application/problem+json").serializer(JSON.stringify).send(document);
}

function describeChallenge(error: SteelyardError) {
  if (!(error instanceof SecondFactorRequired)) return {};
  const { challenge, factors, expiresInSeconds } = error;
  return { challenge, factors: [...factors], expiresInSeconds };
}

function toSteelyardError(error: unknown, request: FastifyRequest): SteelyardError | undefined {
  if (error instanceof SteelyardError) return error;
  if (error instanceof z.ZodError) {
    const { validationContext } = error as z.ZodError & { validationContext?: string };
    const prefix = validationContext === "body" ? (request.routeOptions.config.bodyPath?.(request) ?? []) : [];
    return badInput(describeIssues(error, prefix));
  }
  return fromFastify(error as FastifyError, request);
}

/** What fastify itself refuses before a handler is called. */
function fromFastify({ statusCode = 500, message }: FastifyError, request: FastifyRequest): SteelyardError | undefined {
  if (statusCode === 413) return tooLarge(request);
  if (statusCode === 415)
    return new SteelyardError(
      "unsupported-type",
      "expected application/json, or application/merge-patch+json for PATCH",
    );
  if (statusCode === 503) return new SteelyardError("not-ready", "the agent is stopping");
  return statusCode >= 400 && statusCode < 500 ? new SteelyardError("bad-input", message) : undefined;
}

function trace(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
