import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import ipaddr from "ipaddr.js";
import { SteelyardError } from "../errors.ts";

/** How the agent fetches a file from a web server: bounded in time and size, directly or through the operator's proxy. */

export type Proxy = { url?: string | undefined; bypass: readonly string[] };

export type FetchOptions = {
  proxy?: Proxy;
  /**
   * SHA-256 of the server's certificate, 64 hexadecimal digits in small letters. It then counts alone: neither the authority nor the name nor the
   * dates are looked at.
   */
  certificate?: string | undefined;
  /** Milliseconds for all of it. */
  timeout: number;
  /** Bytes of the answer. */
  limit: number;
};

/**
 * The body of a 200 answer. Redirects are not followed: the address that was given is the one that was meant.
 * Throws `command-failed` with the host and the reason; never with the path or query of the address, which may hold a token.
 */
export async function fetchFile(address: string, options: FetchOptions): Promise<Buffer> {
  const url = new URL(address);
  const signal = AbortSignal.timeout(options.timeout);
  try {
    return await readBody(await send(url, options, signal), options.limit);
  } catch (error) {
    const words = signal.aborted ? `no answer in ${options.timeout / 1000} s` : describe(error);
    throw new SteelyardError("command-failed", `${url.host}: ${words}`, { cause: error });
  }
}

function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return message || code || "the connection failed";
}

async function send(url: URL, options: FetchOptions, signal: AbortSignal): Promise<http.IncomingMessage> {
  const proxy = chooseProxy(url, options.proxy);
  const headers = { Host: url.host, Accept: "*/*", "User-Agent": "Steelyard", Connection: "close" };
  if (url.protocol === "http:") {
    const target = proxy
      ? { hostname: bare(proxy), port: proxy.port || 80, path: url.href }
      : { hostname: bare(url), port: url.port || 80, path: `${url.pathname}${url.search}` };
    return await answerOf(http.request({ ...target, headers, signal, agent: false }));
  }
  const raw = proxy ? await openTunnel(url, proxy, signal) : undefined;
  const socket = await startTls(url, raw, options.certificate, signal);
  const path = `${url.pathname}${url.search}`;
  // With an agent, createConnection would not be asked.
  return await answerOf(https.request({ path, headers, signal, createConnection: () => socket }));
}

/** URL writes IPv6 addresses in brackets, sockets take them without. */
function bare({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function answerOf(request: http.ClientRequest): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
    request.end();
  });
}

/** CONNECT of RFC 9110, 9.3.6. */
function openTunnel(url: URL, proxy: URL, signal: AbortSignal): Promise<Socket> {
  const path = `${url.hostname}:${url.port || 443}`;
  const options = { method: "CONNECT", path, headers: { Host: path }, signal, agent: false as const };
  const request = http.request({ ...options, hostname: bare(proxy), port: proxy.port || 80 });
  return new Promise((resolve, reject) => {
    request.on("connect", (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy answers ${response.statusCode} ${response.statusMessage ?? ""}`.trim()));
    });
    request.on("error", (error) => reject(new Error(`the proxy ${proxy.host}: ${describe(error)}`)));
    request.end();
  });
}

function startTls(url: URL, raw: Socket | undefined, pin: string | undefined, signal: AbortSignal): Promise<TLSSocket> {
  const host = bare(url);
  const name = ipaddr.isValid(host) ? {} : { servername: host };
  const place = raw ? { socket: raw } : { host, port: Number(url.port || 443) };
  const socket = connectTls({ ...place, ...name, rejectUnauthorized: pin === undefined, minVersion: "TLSv1.2" });
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    signal.addEventListener("abort", () => fail(new Error("no answer")), { once: true });
    socket.on("error", fail);
    socket.once("secureConnect", () => {
      const shown = socket.getPeerCertificate().fingerprint256?.replaceAll(":", "").toLowerCase();
      if (pin === undefined || shown === pin) return resolve(socket);
      fail(new Error(`its certificate has the SHA-256 ${shown}, not the pinned one`));
    });
  });
}

async function readBody(response: http.IncomingMessage, limit: number): Promise<Buffer> {
  const { statusCode = 0, statusMessage = "" } = response;
  if (statusCode !== 200) {
    response.destroy();
    const redirect = statusCode >= 300 && statusCode < 400 ? ", and redirects are not followed" : "";
    throw new Error(`answers ${statusCode} ${statusMessage}`.trim() + redirect);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) {
      response.destroy();
      throw new Error(`sends more than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Undefined: asked directly. */
export function chooseProxy(url: URL, proxy: Proxy | undefined): URL | undefined {
  if (proxy?.url === undefined) return undefined;
  const host = bare(url).toLowerCase();
  const address = ipaddr.isValid(host) ? ipaddr.process(host) : undefined;
  if (host === "localhost" || address?.range() === "loopback") return undefined;
  return proxy.bypass.some((each) => covers(each.toLowerCase(), host, address)) ? undefined : new URL(proxy.url);
}

function covers(rule: string, host: string, address: ipaddr.IPv4 | ipaddr.IPv6 | undefined): boolean {
  if (!address) {
    const domain = rule.replace(/^\./, "");
    return host === domain || host.endsWith(`.${domain}`);
  }
  if (!rule.includes("/")) return ipaddr.isValid(rule) && ipaddr.process(rule).toString() === address.toString();
  if (!ipaddr.isValidCIDR(rule)) return false;
  const [network, length] = ipaddr.parseCIDR(rule);
  return network.kind() === address.kind() && address.match([network, length] as never);
}
