import { createHash } from "node:crypto";
import { Secret, TOTP } from "otpauth";

/** Codes of TOTP (RFC 6238) as every authenticator app makes them: SHA-1, six digits, thirty seconds. Pure. */

const settings = { algorithm: "SHA1", digits: 6, period: 30 } as const;
/** Steps before and after that of now: clocks of phones are a little off (RFC 6238, 5.2). */
const toleratedSteps = 1;
/** RFC 4226, 4: 160 bits. */
const secretBytes = 20;
const recoveryCodes = 10;
/** 80 bits: no hash of it can be searched. */
const recoveryBytes = 10;

type RandomBytes = (size: number) => Buffer;

/** A fresh secret in base 32. */
export function makeSecret(randomBytes: RandomBytes): string {
  return toBase32(randomBytes(secretBytes));
}

/** The step of time (RFC 6238, 4.2) that a code belongs to; undefined when it is none of now. Takes equal time for a wrong code. */
export function findStep(secret: string, code: string, now: Date): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const timestamp = now.getTime();
  const window = toleratedSteps;
  const delta = TOTP.validate({ ...settings, secret: Secret.fromBase32(secret), token: code, timestamp, window });
  return delta === null ? undefined : TOTP.counter({ period: settings.period, timestamp }) + delta;
}

/** What an authenticator app reads from a QR code. */
export function makeUri(secret: string, user: string, issuer: string): string {
  return new TOTP({ ...settings, secret: Secret.fromBase32(secret), label: user, issuer }).toString();
}

/** Codes for the day the phone is lost: `abcd-efgh-ijkl-mnop`, 80 random bits each. */
export function makeRecoveryCodes(randomBytes: RandomBytes): string[] {
  return Array.from({ length: recoveryCodes }, () => {
    const text = toBase32(randomBytes(recoveryBytes)).toLowerCase();
    return (text.match(/.{4}/g) ?? []).join("-");
  });
}

/** As it is kept. Upper or lower case, with or without hyphens and spaces. */
export function hashRecoveryCode(code: string): string {
  return createHash("sha256").update(code.toLowerCase().replace(/[\s-]/g, "")).digest("hex");
}

function toBase32(bytes: Buffer): string {
  return new Secret({ buffer: Uint8Array.from(bytes).buffer }).base32;
}
