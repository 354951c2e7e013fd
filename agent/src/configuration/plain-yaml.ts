/**
 * Reads the YAML that generations are written in: block maps, lists of scalars, and scalars on one line that can mean one
 * thing only. It takes a twentieth of the time of a whole parser, and a thousand farms are read at each start. Whatever it is
 * not certain of (comments, quotes with escapes, other indentation, a key that stands twice) gives undefined: then the parser
 * decides. What it gives is what `parse` of the package yaml gives.
 */
export function readPlainYaml(text: string): Record<string, unknown> | undefined {
  if (!text.endsWith("\n")) return undefined;
  const lines = text.slice(0, -1).split("\n");
  const reader = { lines, at: 0 };
  const object = readMap(reader, "");
  return reader.at === lines.length ? object : undefined;
}

type Reader = { lines: string[]; at: number };

/** A key, and the rest of the line. Keys begin with a letter, so that none is a number. */
const entry = /^([A-Za-z][A-Za-z0-9_-]{0,127}):(?: ([^ ].*))?$/;

function readMap(reader: Reader, indent: string): Record<string, unknown> | undefined {
  const object: Record<string, unknown> = {};
  const deeper = `${indent}  `;
  const before = reader.at;
  for (; reader.at < reader.lines.length; ) {
    const line = reader.lines[reader.at] as string;
    // A line of a map above ends this one; one that is deeper belongs to none.
    if (!line.startsWith(indent)) break;
    const found = entry.exec(indent === "" ? line : line.slice(indent.length));
    const key = found?.[1];
    if (key === undefined || words.test(key) || Object.hasOwn(object, key)) return undefined;
    reader.at++;
    const scalar = found?.[2];
    const value = scalar === undefined ? readBlock(reader, deeper) : readScalar(scalar);
    if (value === undefined) return undefined;
    object[key] = value;
  }
  return reader.at === before ? undefined : object;
}

function readBlock(reader: Reader, indent: string): unknown {
  const next = reader.lines[reader.at];
  if (next === undefined || !next.startsWith(indent)) return undefined;
  if (next[indent.length] !== "-") return readMap(reader, indent);
  const list: unknown[] = [];
  const start = `${indent}- `;
  for (; reader.at < reader.lines.length; reader.at++) {
    const line = reader.lines[reader.at] as string;
    if (!line.startsWith(start)) break;
    const value = readScalar(line.slice(start.length));
    if (value === undefined) return undefined;
    list.push(value);
  }
  return list;
}

/** Words of the core schema that are no text (YAML 1.2.2, 10.3.2), as values and as keys. */
const words = /^(?:null|true|false)$/i;
const text = /^[A-Za-z](?:[A-Za-z0-9 _.,()/@+=-]*[A-Za-z0-9_.)/@+=-])?$/;
const whole = /^(?:0|-?[1-9][0-9]{0,14})$/;
const quoted = /^"([A-Za-z0-9 _.,:;()/@+=#*&!?<>'{}[\]-]*)"$/;
const ipv4 = /^[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:\/[0-9]{1,2})?$/;
const time = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;
const hash = /^(?=.*[a-df])[0-9a-f]{64}$/;
const ipv6 = /^[0-9a-f]{1,4}:[0-9a-f:]*[0-9a-f](?:\/[0-9]{1,3})?$/;

function readScalar(scalar: string): unknown {
  if (scalar === "true") return true;
  if (scalar === "false") return false;
  if (scalar === "{}") return {};
  if (scalar === "[]") return [];
  if (whole.test(scalar)) return Number(scalar);
  if (text.test(scalar)) return words.test(scalar) ? undefined : scalar;
  if ([ipv4, ipv6, time, hash].some((form) => form.test(scalar))) return scalar;
  return quoted.exec(scalar)?.[1];
}
