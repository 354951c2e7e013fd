import { scrypt, timingSafeEqual } from "node:crypto";
import { SteelyardError } from "../errors.ts";

/**
 * Passwords as crypt(3) `$7$` hashes: scrypt (RFC 7914) in the spelling of libxcrypt's crypt-scrypt.c, so that the same hash
 * stands in /etc/shadow for the console's login. After `$7$`: log2 N as one character, r and p as five each, the salt (used
 * as the text it is), `$`, and 32 bytes in 43 characters. Numbers are little-endian groups of six bits.
 */

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const hashLength = 32;

/** 32 MiB and about a tenth of a second on a server; the largest the appliance can afford on its smallest machine. */
const cost = { logN: 15, r: 8, p: 1 };

/** What a hash from an answer file may ask of us before it counts as an attack: bytes of memory and rounds. */
const greatestMemory = 128 * 1024 * 1024;
const greatestParallelism = 8;

/** RFC 7914 names: N = 2^logN, r = block size, p = parallelism. */
type Settings = { logN: number; r: number; p: number; salt: string };

/** Hashes a password with a fresh salt: `$7$DU..../....…$…`, 92 characters. `effort` is for tests that log in a thousand times. */
export async function hashPassword(
  password: string,
  randomBytes: (size: number) => Buffer,
  effort: Omit<Settings, "salt"> = cost,
): Promise<string> {
  const salt = encodeBytes(randomBytes(24));
  const digest = await derive(password, { ...effort, salt });
  return `${formatSettings({ ...effort, salt })}$${encodeBytes(digest)}`;
}

/**
 * True when the password belongs to the hash. Takes as long for a wrong one.
 * Throws `corrupt` for a text that is no `$7$` hash, or one that asks for more than 128 MiB.
 */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const end = hash.lastIndexOf("$");
  const digest = await derive(password, parseSettings(hash.slice(0, end)));
  const wanted = Buffer.from(hash.slice(end + 1));
  const given = Buffer.from(encodeBytes(digest));
  return wanted.length === given.length && timingSafeEqual(wanted, given);
}

/** A hash nobody has the password of, that costs as much to check as one made today. */
export const decoyHash = `${formatSettings({ ...cost, salt: ".".repeat(32) })}$${".".repeat(43)}`;

function derive(password: string, { logN, r, p, salt }: Settings): Promise<Buffer> {
  const N = 2 ** logN;
  return new Promise((resolve, reject) => {
    // maxmem is the limit of node's own check, which counts a little more than 128 * N * r.
    scrypt(password, salt, hashLength, { N, r, p, maxmem: 2 * greatestMemory }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

function formatSettings({ logN, r, p, salt }: Settings): string {
  return `$7$${encodeNumber(logN, 1)}${encodeNumber(r, 5)}${encodeNumber(p, 5)}${salt}`;
}

function parseSettings(text: string): Settings {
  const match = /^\$7\$([./0-9A-Za-z])([./0-9A-Za-z]{5})([./0-9A-Za-z]{5})([^$]*)$/.exec(text);
  if (!match) throw new SteelyardError("corrupt", "a stored password hash is not of the kind $7$ (crypt(5))");
  const [logN, r, p] = [match[1], match[2], match[3]].map((part) => decodeNumber(part ?? "")) as [
    number,
    number,
    number,
  ];
  if (logN < 1 || r < 1 || p < 1 || p > greatestParallelism || 128 * 2 ** logN * r > greatestMemory)
    throw new SteelyardError("corrupt", "a stored password hash asks for more work than the appliance does");
  return { logN, r, p, salt: match[4] ?? "" };
}

/** A number as `characters` groups of six bits, the lowest first. */
function encodeNumber(value: number, characters: number): string {
  return Array.from({ length: characters }, (_, at) => alphabet[Math.floor(value / 64 ** at) % 64]).join("");
}

function decodeNumber(text: string): number {
  return [...text].reduce((sum, character, at) => sum + alphabet.indexOf(character) * 64 ** at, 0);
}

/** Three bytes make four characters, the lowest bits first; the last group has as many as its bits need. */
function encodeBytes(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const group = bytes.subarray(at, at + 3);
    const value = group.reduce((sum, byte, place) => sum + byte * 256 ** place, 0);
    text += encodeNumber(value, Math.ceil((group.length * 8) / 6));
  }
  return text;
}
