import { request } from "node:http";
import type { Machine } from "../adapters/machine.ts";
import { type ErrorCode, type Problem, SteelyardError } from "../errors.ts";

const socketPath = "/run/steelyard/api.sock";
/** Milliseconds. A commit waits for addresses and daemons; on an emulated machine that takes minutes. */
const timeout = 300_000;

export type LocalApi = {
  get(path: string): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
};

/** The agent's API over its local socket. Fails with `not-ready` when nobody listens, else with the error the agent sent. */
export function makeLocalApi(machine: Machine): LocalApi {
  const socket = machine.path(socketPath);
  return {
    get: (path) => ask(socket, "GET", path),
    post: (path, body) => ask(socket, "POST", path, JSON.stringify(body)),
  };
}

function ask(socketPath: string, method: string, path: string, body?: string): Promise<unknown> {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new SteelyardError("not-ready", "the agent does not answer", { cause: error }));
    const sent = request({ socketPath, method, path, headers, timeout }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", fail);
      response.on("end", () => {
        try {
          const answer: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8") || "null");
          if ((response.statusCode ?? 500) < 400) resolve(answer);
          else reject(toError(answer as ProblemDocument));
        } catch (error) {
          fail(error as Error);
        }
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`no answer in ${timeout / 1000} s`)));
    sent.on("error", fail);
    sent.end(body);
  });
}

/** The parts of RFC 9457 that the agent fills in. */
type ProblemDocument = { code?: ErrorCode; title?: string; detail?: string; problems?: Problem[] };

function toError({ code, title, detail, problems }: ProblemDocument): SteelyardError {
  return new SteelyardError(code ?? "internal", detail ?? title ?? "the agent failed", { problems: problems ?? [] });
}
