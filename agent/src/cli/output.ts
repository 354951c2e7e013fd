import { UntrustedError } from "../client/untrusted.ts";
import { catalogue, messageOf, type Problem, SteelyardError } from "../errors.ts";
import { Interrupted } from "../first-boot/terminal.ts";
import { cutTo, padTo, widthOf, withoutControls } from "./width.ts";

/** What the command writes, and where: tests take it from a list of lines. */
export type Output = {
  /** Standard output. */
  print(text: string): void;
  /** Standard error. */
  warn(text: string): void;
  /** Bytes as they are, to standard output. */
  write(bytes: Buffer): void;
  /** Rewrites the last line of standard error; undefined where that is no terminal. */
  redraw?: ((text: string) => void) | undefined;
  /** Colours for standard output: on a terminal, unless NO_COLOR is set (no-color.org). */
  colours: boolean;
  /** Columns of the terminal; undefined when there is none, and nothing has to fit. */
  width: number | undefined;
};

/** How answers are written: for people, or as the API gives them for programs. */
export type Format = "text" | "json" | "yaml";

type Style = "bold" | "red" | "green" | "yellow" | "cyan";

const codes: Record<Style, number> = { bold: 1, red: 31, green: 32, yellow: 33, cyan: 36 };

export function paint({ colours }: Output, style: Style, text: string): string {
  return colours ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
}

/** States that an operator looks for in a table, and the colour that finds them. */
const stateStyles: Record<string, Style> = {
  up: "green",
  ok: "green",
  active: "green",
  maintenance: "yellow",
  standby: "yellow",
  degraded: "red",
  down: "red",
  failed: "red",
  "no-carrier": "red",
};

/** Least columns a cell is shortened to, and a title that is wider than what stands under it. */
const narrowest = 8;
const narrowestTitle = 6;

/**
 * Rows under their titles, columns as wide as their widest cell, numbers to the right. Where the terminal is narrower, titles
 * give way first, then the widest columns are cut (`~` marks it). Without rows, a word says so.
 */
export function printTable(output: Output, titles: readonly string[], rows: readonly (readonly unknown[])[]): void {
  if (rows.length === 0) {
    output.print("(none)");
    return;
  }
  const cells = rows.map((row) => titles.map((_, at) => formatCell(row[at])));
  const numeric = titles.map((_, at) => rows.every((row) => typeof row[at] === "number" || row[at] === undefined));
  const needed = titles.map((_, at) => Math.max(...cells.map((row) => widthOf(row[at] ?? ""))));
  const widths = titles.map((title, at) => Math.max(title.length, needed[at] ?? 0));
  fitTitles(widths, needed, output.width);
  fitWidths(widths, output.width);
  const line = (row: readonly string[]) =>
    row.map((cell, at) => {
      const width = widths[at] ?? 0;
      return padTo(cutTo(cell, width), width, numeric[at]);
    });
  output.print(paint(output, "bold", line(titles).join("  ").trimEnd()));
  for (const row of cells) {
    const styled = line(row).map((cell, at) => {
      const style = stateStyles[row[at] ?? ""];
      return style ? paint(output, style, cell) : cell;
    });
    output.print(styled.join("  ").trimEnd());
  }
}

function lengthOf(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each + 2, -2);
}

/** Takes from titles what their cells do not need: an address cut short says less than a title cut short. */
function fitTitles(widths: number[], needed: readonly number[], width: number | undefined): void {
  if (width === undefined) return;
  for (const at of widths.keys()) {
    const [excess, now = 0] = [lengthOf(widths) - width, widths[at]];
    if (excess > 0) widths[at] = Math.min(now, Math.max(needed[at] ?? 0, narrowestTitle, now - excess));
  }
}

/** Takes columns from the widest until the line fits, as far as that goes. */
function fitWidths(widths: number[], width: number | undefined): void {
  if (width === undefined) return;
  for (;;) {
    const excess = lengthOf(widths) - width;
    const widest = Math.max(...widths);
    if (excess <= 0 || widest <= narrowest) return;
    const next = Math.max(narrowest, ...widths.filter((each) => each < widest));
    widths[widths.indexOf(widest)] = Math.max(next === widest ? widest - 1 : next, widest - excess);
  }
}

function formatCell(value: unknown): string {
  if (value === undefined || value === null || value === "") return "-";
  if (Array.isArray(value)) return value.length === 0 ? "-" : value.map(formatCell).join(",");
  if (typeof value === "object") return Object.keys(value).join(",") || "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return withoutControls(String(value));
}

/** An object as indented `field: value` lines, for people; programs take `--json`. */
export function printObject(output: Output, object: unknown, indent = ""): void {
  for (const [key, value] of Object.entries(object as Record<string, unknown>)) {
    const label = `${indent}${paint(output, "cyan", key)}:`;
    const members = typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
    if (members.length > 0) {
      output.print(label);
      printObject(output, value, `${indent}  `);
    } else if (Array.isArray(value) && value.some((item) => typeof item === "object")) {
      output.print(label);
      for (const item of value) {
        output.print(`${indent}  -`);
        printObject(output, item, `${indent}    `);
      }
    } else {
      const text = typeof value === "object" ? formatCell(Array.isArray(value) ? value : undefined) : formatCell(value);
      output.print(`${label} ${text}`);
    }
  }
}

export function printJson(output: Output, value: unknown): void {
  output.print(JSON.stringify(value, null, 2));
}

/** A unified diff, its lines coloured. */
export function printDifferences(output: Output, differences: readonly Difference[]): void {
  for (const { object, change, text } of differences) {
    output.print(paint(output, "bold", `${object}: ${change}`));
    for (const line of text.trimEnd().split("\n")) output.print(paintLine(output, line));
  }
}

export type Difference = { object: string; change: string; text: string };

function paintLine(output: Output, line: string): string {
  if (line.startsWith("+")) return paint(output, "green", line);
  return line.startsWith("-") ? paint(output, "red", line) : line;
}

export function printWarnings(output: Output, warnings: readonly Problem[]): void {
  for (const { path, message } of warnings) output.warn(`warning: ${path}: ${message}`);
}

/** Says what went wrong, field by field, and gives back the exit status of the catalogue; 1 for what it does not know. */
export function reportError(output: Output, error: unknown): number {
  // As the shell reports a program that SIGINT ended.
  if (error instanceof Interrupted) return 130;
  if (!(error instanceof SteelyardError)) {
    output.warn(`steelyard: ${messageOf(error)}`);
    return catalogue.internal.exit;
  }
  const { title: usual, exit } = catalogue[error.code] ?? catalogue.internal;
  const title = error instanceof UntrustedError ? "The box is not trusted" : usual;
  if (error.problems.length === 0) {
    output.warn(`steelyard: ${title}: ${error.message}`);
    return exit;
  }
  output.warn(`steelyard: ${title}:`);
  for (const { path, message } of error.problems) output.warn(path === "" ? `  ${message}` : `  ${path}: ${message}`);
  // An apply that failed has words of its own beside the fields.
  if (error.code === "apply-failed") output.warn(`  ${error.message}`);
  return exit;
}
