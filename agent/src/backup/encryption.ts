import { createCipheriv, createDecipheriv, scrypt } from "node:crypto";
import type { Identity, Recipient } from "age-encryption";
import { messageOf, SteelyardError } from "../errors.ts";

/**
 * Encrypted files in the format of age (https://c2sp.org/age): a header with the wrapped file key, authenticated by HMAC,
 * then ChaCha20-Poly1305 over chunks of 64 KiB, each bound to its place and the last one marked. So `age --decrypt` opens a
 * backup on any computer, and nothing of it can be cut off, moved or changed unnoticed.
 *
 * scrypt is node's own and not the library's, which would hold up everything else while it works.
 */

/** What a file is encrypted for. */
export type Lock = { passphrase: string } | { recipients: readonly string[] };
/** What opens it: the passphrase, or an age secret key (`AGE-SECRET-KEY-1…`). */
export type Key = { passphrase: string } | { secretKey: string };

/** log2 N of scrypt: 64 MiB and a quarter of a second. The smallest box has 1 GiB, and a guess costs a stranger the same. */
const workFactor = 16;
/** What `age --passphrase` makes: 256 MiB. A file that asks for more is an attack. */
const greatestWorkFactor = 18;

const label = "age-encryption.org/v1/scrypt";
const magic = "age-encryption.org/v1\n";
const armored = "-----BEGIN AGE ENCRYPTED FILE-----";

export async function encrypt(data: Uint8Array, lock: Lock, randomBytes: (size: number) => Buffer): Promise<Buffer> {
  const { Encrypter, Stanza } = await import("age-encryption");
  const encrypter = new Encrypter();
  if ("passphrase" in lock) {
    const { passphrase } = lock;
    encrypter.addRecipient({
      async wrapFileKey(fileKey) {
        const salt = randomBytes(16);
        const key = await deriveKey(passphrase, salt, workFactor);
        return [new Stanza(["scrypt", toBase64(salt), String(workFactor)], seal(key, fileKey))];
      },
    } satisfies Recipient);
  } else for (const each of lock.recipients) encrypter.addRecipient(each);
  return Buffer.from(await encrypter.encrypt(data));
}

/**
 * Throws `bad-backup` for what is no age file, was cut off or changed, or is locked in another way; `bad-input` for the wrong
 * passphrase or key.
 */
export async function decrypt(data: Buffer, key: Key): Promise<Buffer> {
  const kind = readLock(data);
  const field = "passphrase" in key ? "passphrase" : "secretKey";
  if (kind === "passphrase" && field === "secretKey")
    throw refuseKey(field, "the backup was made with a passphrase: give that");
  if (kind === "recipients" && field === "passphrase")
    throw refuseKey(field, "the backup was made for a public key: give the secret key that belongs to it");
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  if ("passphrase" in key) decrypter.addIdentity(makePassphraseIdentity(key.passphrase));
  else {
    try {
      decrypter.addIdentity(key.secretKey.trim());
    } catch {
      throw refuseKey(field, "expected an age secret key: AGE-SECRET-KEY-1 and 58 more letters and digits");
    }
  }
  try {
    return Buffer.from(await decrypter.decrypt(data));
  } catch (error) {
    if (error instanceof SteelyardError) throw error;
    const words = messageOf(error);
    // In the library's words, which are held by a test.
    if (/no identity matched/.test(words)) {
      const what = field === "passphrase" ? "passphrase" : "secret key";
      throw refuseKey(field, `the ${what} does not open this backup`);
    }
    throw new SteelyardError("bad-backup", `the backup was cut off or changed since it was made: ${words}`, {
      cause: error,
    });
  }
}

/** Without any key: how a file is locked. Throws `bad-backup` for what is no age file. */
export function readLock(data: Buffer): "passphrase" | "recipients" {
  const start = data.subarray(0, 64).toString("latin1");
  if (start.startsWith(armored))
    throw new SteelyardError("bad-backup", "expected a binary age file: this one is armored, as text");
  if (!start.startsWith(magic))
    throw new SteelyardError("bad-backup", "this is no backup of Steelyard: it does not begin like an age file");
  return data.subarray(magic.length, magic.length + 10).toString("latin1") === "-> scrypt "
    ? "passphrase"
    : "recipients";
}

function refuseKey(path: string, message: string): SteelyardError {
  return new SteelyardError("bad-input", `${path}: ${message}`, { problems: [{ path, message }] });
}

function makePassphraseIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const [stanza] = stanzas;
      // A stanza beside scrypt's would let somebody else have locked it (c2sp.org/age, scrypt recipient stanza).
      if (stanza?.args[0] !== "scrypt" || stanzas.length !== 1) throw new Error("its header is not in order");
      const [, salt = "", factor = ""] = stanza.args;
      const logN = /^[1-9]\d?$/.test(factor) ? Number(factor) : Number.NaN;
      if (!/^[A-Za-z0-9+/]{22}$/.test(salt) || Number.isNaN(logN) || stanza.body.length !== 32)
        throw new Error("its header is not in order");
      if (logN > greatestWorkFactor)
        throw new SteelyardError("bad-backup", `the backup asks for scrypt with 2^${logN}: at most 2^18 is done here`);
      return unseal(await deriveKey(passphrase, Buffer.from(salt, "base64"), logN), stanza.body);
    },
  };
}

function deriveKey(passphrase: string, salt: Buffer, logN: number): Promise<Buffer> {
  const N = 2 ** logN;
  const options = { N, r: 8, p: 1, maxmem: 128 * N * 8 + 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.concat([Buffer.from(label), salt]), 32, options, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

/** The key is used once, so the nonce is zero (c2sp.org/age). */
const nonce = Buffer.alloc(12);
const tagLength = 16;

function seal(key: Buffer, data: Uint8Array): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: tagLength });
  return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
}

function unseal(key: Buffer, sealed: Uint8Array): Buffer | null {
  const decipher = createDecipheriv("chacha20-poly1305", key, nonce, { authTagLength: tagLength });
  decipher.setAuthTag(sealed.subarray(-tagLength));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -tagLength)), decipher.final()]);
  } catch {
    return null;
  }
}

/** Without padding, as age writes it. */
function toBase64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
