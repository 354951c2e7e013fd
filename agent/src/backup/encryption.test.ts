import { randomBytes } from "node:crypto";
import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from "age-encryption";
import fc from "fast-check";
import t from "tap";
import { decrypt, encrypt, readLock } from "./encryption.ts";
import { isRecipient } from "./recipient.ts";

const passphrase = "four words nobody guesses";
const data = Buffer.from("what stands in a backup ".repeat(8000));

t.test("what is encrypted here any age opens, and the other way round", async (t) => {
  const file = await encrypt(data, { passphrase }, randomBytes);
  t.match(file.toString("latin1"), /^age-encryption\.org\/v1\n-> scrypt [A-Za-z0-9+/]{22} 16\n/);
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  t.ok(data.equals(await decrypter.decrypt(file)), "by the library's own scrypt");

  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(12);
  encrypter.setPassphrase(passphrase);
  t.ok(data.equals(await decrypt(Buffer.from(await encrypter.encrypt(data)), { passphrase })));
});

t.test("a public key makes it, and any of the secret keys opens it", async (t) => {
  const [one, other, stranger] = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
  const recipients = await Promise.all([one, other].map(identityToRecipient));
  t.same(recipients.map(isRecipient), [true, true]);
  const file = await encrypt(data, { recipients }, randomBytes);
  t.equal(readLock(file), "recipients");
  for (const secretKey of [one, `${other}\n`]) t.ok(data.equals(await decrypt(file, { secretKey })));
  await t.rejects(decrypt(file, { secretKey: stranger }), {
    code: "bad-input",
    problems: [{ path: "secretKey", message: /does not open this backup/ }],
  });
  await t.rejects(decrypt(file, { secretKey: "AGE-SECRET-KEY-1X" }), {
    code: "bad-input",
    message: /expected an age secret key/,
  });
  await t.rejects(decrypt(file, { passphrase }), { code: "bad-input", message: /made for a public key/ });
});

t.test("a public key with a wrong letter is none", async (t) => {
  const right = await identityToRecipient(await generateIdentity());
  const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  for (let at = 4; at < right.length; at++) {
    const letter = alphabet[(alphabet.indexOf(right[at] ?? "") + 1) % 32];
    t.equal(isRecipient(right.slice(0, at) + letter + right.slice(at + 1)), false);
  }
  for (const text of ["", "age1", right.toUpperCase(), `${right}q`, "ssh-ed25519 AAAA"])
    t.equal(isRecipient(text), false);
});

t.test("the wrong passphrase, a foreign file and one that asks for too much are each told by name", async (t) => {
  const file = await encrypt(data, { passphrase }, randomBytes);
  await t.rejects(decrypt(file, { passphrase: "another one than that" }), {
    code: "bad-input",
    message: "passphrase: the passphrase does not open this backup",
  });
  await t.rejects(decrypt(file, { secretKey: await generateIdentity() }), {
    code: "bad-input",
    message: /made with a passphrase/,
  });
  for (const foreign of ["", "age", "PK\u0003\u0004", "-----BEGIN AGE ENCRYPTED FILE-----\n"])
    await t.rejects(decrypt(Buffer.from(foreign), { passphrase }), { code: "bad-backup" });
  const costly = Buffer.from(file.toString("latin1").replace(/(-> scrypt \S+) 16\n/, "$1 30\n"), "latin1");
  await t.rejects(decrypt(costly, { passphrase }), { code: "bad-backup", message: /at most 2\^18/ });
});

t.test("a file that was cut off or changed anywhere is not opened", async (t) => {
  const secretKey = await generateIdentity();
  const file = await encrypt(data, { recipients: [await identityToRecipient(secretKey)] }, randomBytes);
  const refusal = { code: /bad-backup|bad-input/ };
  const chunk = 64 * 1024 + 16;
  const header = file.indexOf("\n--- ") + 1;
  for (const length of [30, header, file.length - 1, file.length - 17, file.length - (file.length % chunk)])
    await t.rejects(decrypt(file.subarray(0, length), { secretKey }), refusal, `cut off at ${length}`);
  await t.rejects(decrypt(Buffer.concat([file, Buffer.from("x")]), { secretKey }), refusal, "something behind it");
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ bits;
      const opened = await decrypt(changed, { secretKey }).catch((error) => error);
      return /bad-backup|bad-input/.test(opened.code);
    }),
    { numRuns: 100 },
  );
});
