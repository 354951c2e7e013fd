import { type ClientRequestArgs, request as httpRequest, type IncomingMessage } from "node:http";
import { type ErrorCode, type Problem, SteelyardError } from "../errors.ts";

/** The command as a client of the API: over the local socket, or over HTTPS with a token. */

export type Connection = {
  /** Path of the local socket; used when there is no `url`. */
  socket: string;
  /** `https://lb1.example.com:444` */
  url?: string;
  token?: string;
  /** SHA-256 of the certificate in hexadecimal, with or without colons. Without one, an authority must vouch for it. */
  fingerprint?: string;
};

export type Answer<Body = unknown> = {
  status: number;
  body: Body;
  /** The generation a change made. */
  generation: number | undefined;
  warnings: Problem[];
};

export type Client = {
  /** Sends a request. Throws a SteelyardError with the code of the answer, or `not-ready` when nobody answers. */
  send<Body = unknown>(method: string, path: string, body?: unknown): Promise<Answer<Body>>;
  /** All objects of a list, page after page. */
  list<Item>(path: string): Promise<Item[]>;
};

/** A commit may restart daemons, each with up to 90 s. */
const timeout = 300_000;

export function makeClient(connection: Connection): Client {
  const send: Client["send"] = async (method, path, body) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      Accept: "application/json",
      ...(connection.token ? { Authorization: `Bearer ${connection.token}` } : {}),
      ...(text === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }),
    };
    const target = connection.url ? await reachRemotely(connection, connection.url) : { socketPath: connection.socket };
    const response = await exchange({ ...target, method, path, headers, timeout }, text).catch((error) => {
      throw explainFailure(error, connection);
    });
    return readAnswer(response) as never;
  };

  return {
    send,
    async list<Item>(path: string) {
      const items: Item[] = [];
      for (;;) {
        const page = await send<{ items: Item[]; total: number }>("GET", `${path}?offset=${items.length}`);
        items.push(...page.body.items);
        if (items.length >= page.body.total || page.body.items.length === 0) return items;
      }
    },
  };
}

type RawAnswer = { response: IncomingMessage; text: string };

function exchange(options: ClientRequestArgs, text: string | undefined): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(options, (response) => {
      let received = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        received += part;
      });
      response.on("end", () => resolve({ response, text: received }));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error(`no answer in ${timeout / 1000} s`)));
    request.on("error", reject);
    request.end(text);
  });
}

/** TLS first and the request after, so that neither token nor password goes to whom we do not trust. */
async function reachRemotely(connection: Connection, url: string): Promise<ClientRequestArgs> {
  const { openTrusted } = await import("./trust.ts");
  const { protocol, hostname, port } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "", port: "" };
  if (protocol !== "https:") throw new SteelyardError("bad-input", `--url: expected https://host:port, not ${url}`);
  const host = hostname.replace(/^\[|\]$/g, "");
  const socket = await openTrusted(host, port === "" ? 443 : Number(port), connection.fingerprint).catch((error) => {
    throw explainFailure(error, connection);
  });
  return { host: hostname, port: port || 443, createConnection: () => socket };
}

function explainFailure(error: unknown, { url, socket }: Connection): SteelyardError {
  if (error instanceof SteelyardError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (url) return new SteelyardError("not-ready", `cannot reach ${url}: ${message}`, { cause: error });
  const reasons: Record<string, string> = {
    ENOENT: "there is no such socket: does the agent run? (systemctl status steelyard-agent)",
    ECONNREFUSED: "nobody listens: does the agent run? (systemctl status steelyard-agent)",
    EACCES: "not allowed: only root and members of the group steelyard may use it",
  };
  const reason = reasons[code ?? ""] ?? message;
  return new SteelyardError(code === "EACCES" ? "forbidden" : "not-ready", `${socket}: ${reason}`, { cause: error });
}

function readAnswer({ response, text }: RawAnswer): Answer {
  const status = response.statusCode ?? 0;
  const body = parseJson(text);
  if (status >= 400) {
    const problem = (body ?? {}) as { code?: ErrorCode; detail?: string; problems?: Problem[] };
    throw new SteelyardError(problem.code ?? "internal", problem.detail ?? `HTTP status ${status}`, {
      problems: problem.problems ?? [],
    });
  }
  const generation = response.headers["steelyard-generation"];
  const warnings = response.headers["steelyard-warnings"];
  return {
    status,
    body,
    generation: generation === undefined ? undefined : Number(generation),
    warnings: typeof warnings === "string" ? (JSON.parse(warnings) as Problem[]) : [],
  };
}

function parseJson(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    throw new SteelyardError("internal", "the answer is not JSON: is this the address of a Steelyard?");
  }
}
