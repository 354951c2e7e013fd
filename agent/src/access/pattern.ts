/** Patterns of names: `*` stands for any characters. Without regular expressions, whose worst case a caller could choose. */

export function matchesPattern(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/** True when every name that `narrow` matches is matched by `wide`. No for some pairs that would, never yes for one that would not. */
export function patternCovers(wide: string, narrow: string): boolean {
  // A star of the narrow pattern is a character that only a star of the wide one can swallow.
  return matchesPattern(wide, narrow);
}
