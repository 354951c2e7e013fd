import { createHash, timingSafeEqual } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Configuration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import type { Principal } from "./permissions.ts";
import { findUser, grantsOfRoles, grantsOfUser, isActive } from "./rights.ts";

/**
 * Keys for programs: `sty_<id>_<256 random bits>`. The beginning is for people and scanners of leaked secrets, the id finds the
 * object, and of the whole only the SHA-256 is kept.
 */

const pattern = /^sty_([a-z0-9]{8})_[A-Za-z0-9_-]{43}$/;
const alphabet = "abcdefghijkmnpqrstuvwxyz23456789";

/** A key that is right, and not good here or now. `owner` is for the audit log alone. */
export class KeyRefused extends SteelyardError {
  readonly owner: string;

  constructor(message: string, owner: string) {
    super("unauthenticated", message);
    this.owner = owner;
  }
}

export function makeApiKey(randomBytes: (size: number) => Buffer): { id: string; key: string; hash: string } {
  const id = [...randomBytes(8)].map((byte) => alphabet[byte % alphabet.length]).join("");
  const key = `sty_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, key, hash: hashOf(key) };
}

/** True for what looks like a key rather than the token of a session. */
export function isApiKey(token: string): boolean {
  return token.startsWith("sty_");
}

/**
 * Who calls with the key. Throws `unauthenticated`, with the same words for a key that is wrong, gone, or whose owner is; one
 * that is right but ended or used from elsewhere is told so.
 */
export function principalOfKey(configuration: Configuration, token: string, source: string, now: Date): Principal {
  const id = pattern.exec(token)?.[1] ?? "";
  const key = Object.hasOwn(configuration.apiKeys, id) ? configuration.apiKeys[id] : undefined;
  const owner = key && findUser(configuration, key.owner);
  // The hash is made in any case, so that time does not tell which ids there are.
  const given = Buffer.from(hashOf(token), "hex");
  const right = key !== undefined && timingSafeEqual(given, Buffer.from(key.hash, "hex"));
  if (!key || !right || !owner || !isActive(owner, now))
    throw new SteelyardError("unauthenticated", "there is no such API key");
  if (key.expires !== undefined && now.getTime() >= Date.parse(key.expires))
    throw new KeyRefused(`the API key ${id} has expired`, key.owner);
  if (key.networks.length > 0 && !key.networks.some((network) => isInside(source, network)))
    throw new KeyRefused(`the API key ${id} is not for use from ${source}`, key.owner);
  const own = [{ resource: "self", verb: "read" }];
  return {
    user: key.owner,
    source,
    means: "api-key",
    id,
    grants: [...grantsOfRoles(configuration, key.roles), ...own],
    ceiling: [...grantsOfUser(configuration, owner), ...own],
  };
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function isInside(source: string, network: string): boolean {
  if (!ipaddr.isValid(source)) return false;
  const address = ipaddr.process(source);
  const [base, length] = ipaddr.parseCIDR(network);
  return address.kind() === base.kind() && address.match(base, length);
}
