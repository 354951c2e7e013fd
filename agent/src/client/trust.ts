import { connect, type TLSSocket } from "node:tls";
import { SteelyardError } from "../errors.ts";
import { UntrustedError } from "./untrusted.ts";

const timeout = 30_000;

/**
 * Opens TLS to a box whose certificate has the fingerprint, or without one, that an authority vouches for.
 * Throws an UntrustedError with the fingerprint it found, for the operator to compare with the console's.
 */
export async function openTrusted(host: string, port: number, fingerprint: string | undefined): Promise<TLSSocket> {
  const wanted = fingerprint === undefined ? undefined : readFingerprint(fingerprint);
  const socket = await openUnchecked(host, port);
  const found = socket.getPeerCertificate().fingerprint256;
  const trusted = wanted === undefined ? socket.authorized : readFingerprint(found) === wanted;
  if (trusted) return socket;
  socket.destroy();
  const words =
    wanted === undefined
      ? `no authority vouches for the certificate of ${host} (${socket.authorizationError}). Compare this with the fingerprint on its console, and pass it on when it is the same: --fingerprint ${found}`
      : `the certificate of ${host} has another fingerprint: ${found}. It was renewed, or somebody else answers: compare it with its console before you trust it`;
  throw new UntrustedError(words);
}

/** The fingerprint of the certificate a box shows, and whether an authority vouches for it. */
export async function readRemoteFingerprint(
  host: string,
  port: number,
): Promise<{ fingerprint: string; authorized: boolean }> {
  const socket = await openUnchecked(host, port);
  const { fingerprint256: fingerprint } = socket.getPeerCertificate();
  socket.destroy();
  return { fingerprint, authorized: socket.authorized };
}

function openUnchecked(host: string, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // The check is ours: node's own would not let a self-signed certificate come as far as its fingerprint.
    const socket = connect({ host, port, servername: /^[\d.]+$|:/.test(host) ? "" : host, rejectUnauthorized: false });
    socket.setTimeout(timeout, () => socket.destroy(new Error(`no answer in ${timeout / 1000} s`)));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

/** Hexadecimal without colons, in small letters. Throws `bad-input` for anything that is no SHA-256. */
export function readFingerprint(text: string): string {
  const plain = text
    .replace(/^sha256[:=]/i, "")
    .replaceAll(":", "")
    .toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(plain))
    throw new SteelyardError(
      "bad-input",
      "--fingerprint: expected a SHA-256 of 64 hexadecimal digits, with or without colons",
    );
  return plain;
}
