import { once } from "node:events";
import { Agent } from "node:https";
import { connect } from "node:tls";
import { withTimeout } from "../wait.ts";
import type { ApiTarget } from "./api.ts";

/** `AB:CD`, `abcd` and `SHA256:abcd…` are the same fingerprint. */
export function plainFingerprint(text: string): string {
  return text
    .replace(/^sha-?256[:= ]*/i, "")
    .replaceAll(":", "")
    .toLowerCase();
}

/**
 * Fetches the certificate, compares it with the fingerprint, and returns an agent that trusts this one certificate and no
 * other: the box signs its own, so no authority vouches for it. Nothing is sent to a server that shows another.
 */
export async function pinCertificate(target: ApiTarget) {
  const { address, port, fingerprint, timeout, localAddress } = target;
  const from = localAddress === undefined ? {} : { localAddress };
  const socket = connect({ host: address, port, rejectUnauthorized: false, ...from });
  try {
    await withTimeout(`TLS with ${address} port ${port}`, timeout, once(socket, "secureConnect"));
    const { fingerprint256, raw } = socket.getPeerCertificate();
    if (plainFingerprint(fingerprint256) !== plainFingerprint(fingerprint)) {
      throw new Error(`the box shows another certificate than its console told: ${fingerprint256}`);
    }
    const pem = `-----BEGIN CERTIFICATE-----\n${raw.toString("base64")}\n-----END CERTIFICATE-----\n`;
    // The certificate itself is what is trusted, whatever name it carries.
    return new Agent({ keepAlive: true, maxSockets: 4, ca: pem, checkServerIdentity: () => undefined, ...from });
  } finally {
    socket.destroy();
  }
}
