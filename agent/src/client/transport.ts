import { type ClientRequestArgs, request as httpRequest, type IncomingMessage } from "node:http";
import { SteelyardError } from "../errors.ts";

/** How a request reaches a box: over its local socket, or over HTTPS to a certificate that is trusted. */

export type Connection = {
  /** Path of the local socket; used when there is no `url`. */
  socket: string;
  /** `https://lb1.example.com:444` */
  url?: string;
  token?: string;
  /** SHA-256 of the certificate in hexadecimal, with or without colons. Without one, an authority must vouch for it. */
  fingerprint?: string;
  /** Address from which somebody types over SSH: told to the local socket alone, where nothing else shows it. */
  origin?: string;
};

/** Header of requests on the local socket with {@link Connection.origin}. */
export const originHeader = "steelyard-origin";

export type Outgoing = {
  method: string;
  path: string;
  headers: Record<string, string | number>;
  body?: string | Buffer;
};

/** A commit may restart daemons, each with up to 90 s. */
const timeout = 300_000;

/** Sends a request and gives back the answer as it begins. Throws `not-ready` when nobody answers. */
export async function openRequest(connection: Connection, outgoing: Outgoing): Promise<IncomingMessage> {
  const { body, ...rest } = outgoing;
  try {
    const target = connection.url ? await reachRemotely(connection, connection.url) : { socketPath: connection.socket };
    return await start({ ...target, ...rest, timeout }, body);
  } catch (error) {
    throw explainFailure(error, connection);
  }
}

/** The whole body of an answer. */
export async function readBody(response: IncomingMessage, connection: Connection): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    for await (const part of response) parts.push(part as Buffer);
  } catch (error) {
    throw explainFailure(error, connection);
  }
  return Buffer.concat(parts);
}

function start(options: ClientRequestArgs, body: string | Buffer | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(options, resolve);
    request.on("timeout", () => request.destroy(new Error(`no answer in ${timeout / 1000} s`)));
    request.on("error", reject);
    request.end(body);
  });
}

/** TLS first and the request after, so that neither token nor password goes to whom we do not trust. */
async function reachRemotely(connection: Connection, url: string): Promise<ClientRequestArgs> {
  const { host, hostname, port } = splitUrl(url);
  // Most commands run on the box, where the socket needs no TLS.
  const { openTrusted } = await import("./trust.ts");
  const socket = await openTrusted(host, port, connection.fingerprint);
  return { host: hostname, port, createConnection: () => socket };
}

const nowhere = { protocol: "", hostname: "", port: "", pathname: "", search: "", username: "" };

/** Throws `bad-input` for anything but `https://host:port`. */
export function splitUrl(url: string): { host: string; hostname: string; port: number } {
  const { protocol, hostname, port, pathname, search, username } = URL.canParse(url) ? new URL(url) : nowhere;
  const isBare = pathname === "/" && search === "" && username === "";
  if (protocol !== "https:" || !isBare)
    throw new SteelyardError("bad-input", `--url: expected https://host:port, not ${url}`);
  return { host: hostname.replace(/^\[|\]$/g, ""), hostname, port: port === "" ? 443 : Number(port) };
}

function explainFailure(error: unknown, { url, socket }: Connection): SteelyardError {
  if (error instanceof SteelyardError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (url) return new SteelyardError("not-ready", `cannot reach ${url}: ${message}`, { cause: error });
  const reasons: Record<string, string> = {
    ENOENT: "there is no such socket: does the agent run? (systemctl status steelyard-agent)",
    ECONNREFUSED: "nobody listens: does the agent run? (systemctl status steelyard-agent)",
    EACCES: "not allowed: it is for its owner alone; everybody with a shell has a socket of its own",
  };
  const reason = reasons[code ?? ""] ?? message;
  return new SteelyardError(code === "EACCES" ? "forbidden" : "not-ready", `${socket}: ${reason}`, { cause: error });
}
