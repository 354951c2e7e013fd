/** How many columns of a terminal a text takes. */

/** Two columns each: what East Asia writes (Unicode, Annex 11, W and F), and pictures. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** None: what is written onto the character before, and what only steers. */
const none = /[\p{Mn}\p{Me}\p{Cf}]/u;

function columnsOf(character: string): number {
  if (none.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}

export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  return [...text].reduce((sum, each) => sum + columnsOf(each), 0);
}

/** As much of a text as fits; `~` in the last column marks what was cut. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let [kept, columns] = ["", 0];
  for (const each of text) {
    columns += columnsOf(each);
    if (columns > width - 1) break;
    kept += each;
  }
  return `${kept}~`;
}

/** A text with spaces up to a width, after it or before it. */
export function padTo(text: string, width: number, before = false): string {
  const spaces = " ".repeat(Math.max(0, width - widthOf(text)));
  return before ? spaces + text : text + spaces;
}

/** What steers a terminal, written as JSON would: no text of the box, or of a neighbour on the wire, may do that. */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (each) =>
    each === "\n" ? each : `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
