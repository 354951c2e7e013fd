import { type Agent, request } from "node:https";
import { fillPath, type Query } from "../../../agent/src/client/client.ts";
import type { AnswerOf, OptionsOf, PathOf } from "../../../agent/src/client/operations.ts";
import { pinCertificate } from "./pin.ts";

export type ApiResponse = {
  status: number;
  body: unknown;
  etag: string | undefined;
  /** The generation that a change made current. */
  generation: number | undefined;
};

export type ApiRequest = { body?: unknown; ifMatch?: string; contentType?: string; rawBody?: string; timeout?: number };

/** Which box to talk to and how to know it is the one: the fingerprint its console shows. */
export type ApiTarget = {
  address: string;
  port: number;
  fingerprint: string;
  timeout: number;
  /** Address of the client; the one that the route says unless told. */
  localAddress?: string;
};

/** The paths that can be read, without what all begin with. */
type Shown = PathOf<"get"> extends infer P ? (P extends `/api/v1${infer Rest}` ? Rest : never) : never;
type Whole<P extends Shown> = Extract<`/api/v1${P}`, PathOf<"get">>;

/**
 * A client of the management API as an operator's program would be one: HTTPS with the certificate pinned by its
 * SHA-256 fingerprint (it is self-signed, so no authority vouches for it), and a session of `admin`.
 */
export class Api {
  readonly #target: ApiTarget;
  #agent: Agent | undefined;
  #token: string | undefined;

  constructor(target: ApiTarget) {
    this.#target = target;
  }

  /** The token of the session, for a request made by hand. */
  get token(): string {
    return this.#token ?? "";
  }

  async login(user: string, password: string): Promise<void> {
    this.#token = undefined;
    const { body } = await this.expect(201, "POST", "/sessions", { body: { user, password } });
    this.#token = (body as { token: string }).token;
  }

  /** Sends a request and fails unless the status is the expected one; the answer's words are in the message. */
  async expect(status: number, method: string, path: string, options: ApiRequest = {}): Promise<ApiResponse> {
    const response = await this.send(method, path, options);
    if (response.status !== status) {
      const words = JSON.stringify(response.body);
      throw new Error(`${method} ${path}: status ${response.status} where ${status} was expected: ${words}`);
    }
    return response;
  }

  /** The body of a GET that must succeed, typed by the API's description: `get("/farms/{farm}", { path: { farm: "web" } })`. */
  async get<P extends Shown>(
    path: P,
    ...[options]: object extends OptionsOf<"get", Whole<P>>
      ? [OptionsOf<"get", Whole<P>>?]
      : [OptionsOf<"get", Whole<P>>]
  ): Promise<AnswerOf<"get", Whole<P>>> {
    const { path: values, query = {} } = (options ?? {}) as { path?: Record<string, string>; query?: Query };
    const search = new URLSearchParams(
      Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const filled = fillPath(path, values) + (search.size > 0 ? `?${search}` : "");
    return (await this.expect(200, "GET", filled)).body as AnswerOf<"get", Whole<P>>;
  }

  /** Sends a request; any status is an answer. */
  async send(method: string, path: string, options: ApiRequest = {}): Promise<ApiResponse> {
    try {
      return await this.#sendOnce(method, path, options);
    } catch (error) {
      // A kept connection that the agent closed, or that died with it, says nothing about the request.
      if (!(error instanceof ReusedConnectionError)) throw error;
      return await this.#sendOnce(method, path, options);
    }
  }

  close(): void {
    this.#agent?.destroy();
  }

  async #sendOnce(method: string, path: string, options: ApiRequest): Promise<ApiResponse> {
    const { address, port } = this.#target;
    const timeout = options.timeout ?? this.#target.timeout;
    this.#agent ??= await pinCertificate({ ...this.#target, timeout });
    const agent = this.#agent;
    const text = options.rawBody ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const kind = options.contentType ?? (method === "PATCH" ? "application/merge-patch+json" : "application/json");
    const headers = {
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      ...(text === undefined ? {} : { "content-type": kind, "content-length": Buffer.byteLength(text) }),
      ...(options.ifMatch === undefined ? {} : { "if-match": options.ifMatch }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = request({ agent, host: address, port, method, path: `/api/v1${path}`, headers });
      const late = setTimeout(
        () => outgoing.destroy(new Error(`${method} ${path}: no answer in ${timeout} ms`)),
        timeout,
      );
      outgoing.once("error", (error) => {
        clearTimeout(late);
        reject(outgoing.reusedSocket && isConnectionLoss(error) ? new ReusedConnectionError(error) : error);
      });
      outgoing.once("response", (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.once("error", reject);
        response.once("end", () => {
          clearTimeout(late);
          const made = response.headers["steelyard-generation"];
          resolve({
            status: response.statusCode ?? 0,
            body: parse(body),
            etag: response.headers.etag,
            generation: made === undefined ? undefined : Number(made),
          });
        });
      });
      outgoing.end(text);
    });
  }
}

class ReusedConnectionError extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

function isConnectionLoss(error: NodeJS.ErrnoException): boolean {
  return ["ECONNRESET", "EPIPE", "ECONNABORTED"].includes(error.code ?? "");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? undefined : text;
  }
}
