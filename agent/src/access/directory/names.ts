/** The names that go into a directory and come out of it: pure. */

/**
 * The name as it is looked up, or undefined for what is no name in any directory here. In small letters, since LDAP compares
 * without regard to them: `Anna` and `anna` are one account, one count of wrong passwords, one user in the log.
 */
export function readUserName(given: string): string | undefined {
  return /^[a-z0-9][a-z0-9._@-]{0,63}$/i.test(given) ? given.toLowerCase() : undefined;
}

/**
 * An assertion value of RFC 4515, section 3: whatever it holds, it stays one value. Letters beyond ASCII stay as they are, which
 * the RFC allows: ldapts reads an escaped byte as a character of its own, and would look for another name.
 */
export function escapeFilterValue(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this escapes
  const special = /[\u0000-\u001f\u007f*()\\&|!=<>~/]/g;
  return value.replace(special, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** An attribute value in a DN (RFC 4514, 2.4). */
export function escapeDnValue(value: string): string {
  return [...Buffer.from(value, "utf8")]
    .map((byte, at, { length }) => {
      const character = String.fromCharCode(byte);
      const atEdge = (at === 0 && (character === " " || character === "#")) || (at === length - 1 && character === " ");
      return byte < 0x20 || byte > 0x7e || '",+;<>=\\'.includes(character) || atEdge
        ? `\\${byte.toString(16).padStart(2, "0")}`
        : character;
    })
    .join("");
}

/** Puts values into a template, escaped for a filter. */
export function fillFilter(template: string, values: { user?: string; dn?: string }): string {
  return template.replace(/\{(user|dn)\}/g, (_all, key: "user" | "dn") => escapeFilterValue(values[key] ?? ""));
}

/** The name a user binds by: a DN when the template has an attribute before the placeholder, else a principal name. */
export function fillUserTemplate(template: string, user: string): string {
  const isDn = template.includes("=");
  return template.replaceAll("{user}", () => (isDn ? escapeDnValue(user) : user));
}

/** Members of a group and all of its groups in one question: Active Directory's LDAP_MATCHING_RULE_IN_CHAIN. */
export const nestedMemberFilter = "(member:1.2.840.113556.1.4.1941:={dn})";

/**
 * One spelling for the spellings of a DN: attribute types and values in small letters, spaces around separators gone and
 * several in a row one, escapes resolved, parts of a multi-valued name sorted. Undefined for what is no DN (RFC 4514).
 */
export function normalizeDn(text: string): string | undefined {
  const names: string[][] = [[]];
  let at = 0;
  while (at < text.length) {
    const type = /^\s*([a-zA-Z][a-zA-Z0-9-]*|\d+(?:\.\d+)*)\s*=\s*/.exec(text.slice(at));
    if (!type) return undefined;
    at += type[0].length;
    const value = readValue(text, at);
    if (!value) return undefined;
    at = value.end;
    const folded = value.text.replace(/\s+/g, " ").trim().toLowerCase();
    names.at(-1)?.push(`${(type[1] ?? "").toLowerCase()}=${escapeDnValue(folded)}`);
    if (at === text.length) break;
    const isJoined = text[at] === "+";
    at += 1;
    if (at === text.length) return undefined;
    if (!isJoined) names.push([]);
  }
  return names.length === 1 && names[0]?.length === 0
    ? undefined
    : names.map((each) => each.sort().join("+")).join(",");
}

/** An attribute value up to the next separator that is not escaped. */
function readValue(text: string, start: number): { text: string; end: number } | undefined {
  const bytes: Buffer[] = [];
  let at = start;
  while (at < text.length && !",;+".includes(text[at] ?? "")) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    if (character !== "\\") {
      bytes.push(Buffer.from(character));
      at += character.length;
      continue;
    }
    const pair = text.slice(at + 1, at + 3);
    if (/^[0-9a-fA-F]{2}$/.test(pair)) {
      bytes.push(Buffer.from(pair, "hex"));
      at += 3;
    } else if (/^[ "#+,;<=>\\]/.test(pair)) {
      bytes.push(Buffer.from(pair[0] ?? ""));
      at += 2;
    } else return undefined;
  }
  const value = Buffer.concat(bytes).toString("utf8");
  return value.trim() === "" ? undefined : { text: value, end: at };
}
