import { createConnection, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";

/** Connections of the box to servers elsewhere, with TLS that trusts what the operator says. Errors are in words for him. */

export type TlsTarget = {
  host: string;
  port: number;
  /** PEM of the authorities that count; left out: the public ones. */
  ca?: string[];
  /** SHA-256 of the server's own certificate, in small hexadecimal digits: one of these, whoever signed it. */
  pins: readonly string[];
  /** Shown to a server that asks for one: PEM. */
  client?: { certificate: string; key: string };
  /** Expected in the certificate instead of the host. */
  serverName?: string;
  /** Milliseconds for the connection, and again for TLS. */
  timeout: number;
};

export function openSocket({ host, port, timeout }: Pick<TlsTarget, "host" | "port" | "timeout">): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host, port });
    const fail = (words: string, cause?: unknown) => {
      socket.destroy();
      reject(new Error(`cannot connect to ${host}:${port}: ${words}`, { cause }));
    };
    const timer = setTimeout(() => fail(`no answer within ${timeout / 1000} s`), timeout);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      fail(error.code ?? error.message, error);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      // Until somebody listens: an error nobody hears would end the process.
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

export function tlsOptions({ host, ca, pins, client, serverName }: TlsTarget): ConnectionOptions {
  const name = serverName ?? host;
  return {
    host: name,
    ...(isIP(name) ? {} : { servername: name }),
    minVersion: "TLSv1.2",
    // A pinned certificate stands for itself; see requirePin.
    rejectUnauthorized: pins.length === 0,
    ...(ca ? { ca } : {}),
    ...(client ? { cert: client.certificate, key: client.key } : {}),
  };
}

/** TLS over a connection that is open. The caller asks {@link requirePin} before anything is sent. */
export async function openTls(target: TlsTarget, socket: Socket): Promise<TLSSocket> {
  const secured = connectTls({ ...tlsOptions(target), socket });
  const done = new Promise<TLSSocket>((resolve, reject) => {
    secured.once("secureConnect", () => {
      secured.removeAllListeners("error");
      secured.on("error", () => undefined);
      resolve(secured);
    });
    secured.once("error", reject);
    secured.once("close", () => reject(new Error("the server closed the connection")));
  });
  return await withDeadline(done, target.timeout, () => secured.destroy());
}

export function fingerprintOf(socket: TLSSocket): string {
  return (socket.getPeerCertificate().fingerprint256 ?? "").replaceAll(":", "").toLowerCase();
}

export function requirePin({ pins }: TlsTarget, socket: TLSSocket): void {
  const fingerprint = fingerprintOf(socket);
  if (pins.length > 0 && !pins.includes(fingerprint))
    throw new Error(`the certificate is none of the pinned ones: its SHA-256 is ${fingerprint}`);
}

export async function withDeadline<Result>(work: Promise<Result>, timeout: number, end: () => void): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      end();
      reject(new Error(`no answer within ${timeout / 1000} s`));
    }, timeout);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
