import { createHmac, randomBytes } from "node:crypto";
import { SteelyardError } from "../errors.ts";

/**
 * Entity tags (RFC 9110, 8.8.3): a strong tag is made of an object's canonical JSON, the same for the same content while the agent
 * runs. Secrets are content too, so the hash has a key that nobody knows: else whoever sees a tag could try guesses of a password.
 */

const key = randomBytes(32);

const known = new WeakMap<object, string>();

/** The tag of an object, with its quotes. Objects of a configuration are immutable, so each is hashed once. */
export function entityTag(object: object): string {
  const cached = known.get(object);
  if (cached !== undefined) return cached;
  const tag = `"${createHmac("sha256", key).update(canonicalJson(object)).digest("base64url").slice(0, 22)}"`;
  known.set(object, tag);
  return tag;
}

/**
 * The tag of a whole configuration, from the tags of its objects: those that stayed are not hashed again. Equal for equal
 * content, like any other.
 */
export function compositeTag(whole: object): string {
  const known = composites.get(whole);
  if (known !== undefined) return known;
  const hash = createHmac("sha256", key);
  for (const [name, part] of Object.entries(whole).sort(byName)) {
    const members = Object.entries(part as object).sort(byName);
    for (const [key, member] of members)
      hash.update(`${name}/${key} ${isObject(member) ? entityTag(member) : canonicalJson(member)}\n`);
  }
  const tag = `"${hash.digest("base64url").slice(0, 22)}"`;
  composites.set(whole, tag);
  return tag;
}

const composites = new WeakMap<object, string>();
const byName = ([one]: [string, unknown], [other]: [string, unknown]) => (one < other ? -1 : 1);
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** The conditions of a request, as its headers have them. */
export type Conditions = { ifMatch: string | undefined; ifNoneMatch: string | undefined };

/** Throws `stale` when the object is not what the caller believes it to be (RFC 9110, 13.1). */
export function requireConditions(
  { ifMatch, ifNoneMatch }: Conditions,
  object: object | undefined,
  noun: string,
): void {
  if (ifMatch !== undefined && object === undefined) throw new SteelyardError("stale", `there is no ${noun} any more`);
  if (ifMatch !== undefined && object !== undefined && !listsTag(ifMatch, entityTag(object)))
    throw new SteelyardError("stale", `${noun} changed since it was read: read it again and repeat the change`);
  if (ifNoneMatch === undefined) return;
  // A condition that nobody can read would let every change pass.
  if (ifNoneMatch.trim() !== "*" && tagsIn(ifNoneMatch).length === 0)
    throw new SteelyardError("bad-input", "If-None-Match: expected *, or entity tags in their quotes");
  if (object !== undefined && listsWeakly(ifNoneMatch, entityTag(object)))
    throw new SteelyardError("stale", `${noun} exists already`);
}

function tagsIn(list: string): string[] {
  return list.match(/(?:W\/)?"[^"]*"/g) ?? [];
}

/** True when a list of tags, or `*`, has the tag, as If-Match wants it: a weak tag is like no other (RFC 9110, 8.8.3.2). */
function listsTag(list: string, tag: string): boolean {
  return list.trim() === "*" || tagsIn(list).includes(tag);
}

/** The same as If-None-Match wants it: a tag that a proxy has weakened still tells the content. */
export function listsWeakly(list: string, tag: string): boolean {
  return list.trim() === "*" || tagsIn(list).some((each) => each.replace(/^W\//, "") === tag);
}

/** JSON with the members of every object in order of their names, so that equal objects have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([one], [other]) => (one < other ? -1 : 1)))
      : member,
  );
}
