/** How a certificate is signed, which node:crypto does not tell (X509Certificate, Node 20). */

/** Object identifiers in DER, and what people call them; RFC 8017, RFC 5758, RFC 8410. */
const strong: Record<string, string> = {
  "2a864886f70d01010b": "RSA with SHA-256",
  "2a864886f70d01010c": "RSA with SHA-384",
  "2a864886f70d01010d": "RSA with SHA-512",
  "2a8648ce3d040302": "ECDSA with SHA-256",
  "2a8648ce3d040303": "ECDSA with SHA-384",
  "2a8648ce3d040304": "ECDSA with SHA-512",
  "2b6570": "Ed25519",
};
const weak: Record<string, string> = {
  "2a864886f70d010102": "RSA with MD2",
  "2a864886f70d010104": "RSA with MD5",
  "2a864886f70d010105": "RSA with SHA-1",
  "2a864886f70d01010e": "RSA with SHA-224",
  "2a8648ce3d0401": "ECDSA with SHA-1",
  "2a8648ce3d040301": "ECDSA with SHA-224",
  "2a8648ce380403": "DSA with SHA-1",
};
const pss = "2a864886f70d01010a";
const hashesOfPss: Record<string, string> = {
  "608648016503040201": "RSA-PSS with SHA-256",
  "608648016503040202": "RSA-PSS with SHA-384",
  "608648016503040203": "RSA-PSS with SHA-512",
};

export type Signature = { name: string; strong: boolean };

/** From the DER of a certificate, which X509Certificate has parsed: Certificate ::= SEQUENCE { tbs, signatureAlgorithm, … }. */
export function readSignature(der: Buffer): Signature {
  const certificate = readElement(der, 0);
  const toBeSigned = readElement(der, certificate.start);
  const algorithm = readElement(der, toBeSigned.end);
  const identifier = readElement(der, algorithm.start);
  const text = der.toString("hex", identifier.start, identifier.end);
  if (text === pss) {
    // Without parameters it is SHA-1 (RFC 8017, A.2.3).
    const parameters = der.toString("hex", identifier.end, algorithm.end);
    const found = Object.entries(hashesOfPss).find(([hash]) => parameters.includes(hash));
    return found ? { name: found[1], strong: true } : { name: "RSA-PSS with SHA-1", strong: false };
  }
  const name = strong[text];
  return name ? { name, strong: true } : { name: weak[text] ?? "an unknown algorithm", strong: false };
}

/** Where the content of the element at an offset begins and ends (X.690, 8.1, definite lengths). */
function readElement(der: Buffer, offset: number): { start: number; end: number } {
  const first = der.readUInt8(offset + 1);
  if (first < 0x80) return { start: offset + 2, end: offset + 2 + first };
  const bytes = first & 0x7f;
  const start = offset + 2 + bytes;
  return { start, end: start + der.readUIntBE(offset + 2, bytes) };
}
