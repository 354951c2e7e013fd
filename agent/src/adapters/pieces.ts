/**
 * Lists in JSON that are asked for again and again and come back with little changed. They are compared as bytes, and only the pieces
 * that are not as they were are decoded and parsed.
 */

type Piece<Result> = { begin: number; end: number; result: Result };

/** So many old pieces are looked at for one that may be the same: those that one change takes away stand together. */
const reach = 32;

/** A text on its way: `add` takes each part as it comes, which may be used again at once; `end` reads what they were together. */
export type Intake<Result> = { add(part: Uint8Array): void; end(): Result };

/**
 * A reader of the outermost list of a JSON text. The list is cut before each `mark`, which stands between two entries and nowhere
 * else; several texts in a row are one list when `joint` is what stands between them. `read` gets the entries of a piece, is to be
 * pure, and nobody may change what it gives. The results come in the list's order.
 *
 * `end` throws SyntaxError for what is not such a list; what was read before is remembered then.
 */
export function rememberPieces<Entry, Result>(
  { mark, joint }: { mark: string; joint?: string },
  read: (entries: Entry[]) => Result,
): () => Intake<readonly Result[]> {
  let last: { bytes: Buffer; pieces: Piece<Result>[]; results: Result[] } = none();
  // The room of the text before the last one, used again: megabytes of new memory for each question cost more than reading them.
  let room: Buffer = Buffer.alloc(0);
  const readPiece = (bytes: Buffer, begin: number, end: number): Piece<Result> => {
    const text = withoutCommas(bytes.toString("utf8", begin, end));
    const entries = joint === undefined ? text : text.replaceAll(joint, ",");
    return { begin, end, result: read(JSON.parse(`[${entries}]`) as Entry[]) };
  };
  /** The pieces from `begin` to `end`; those of `old`, which come in the same order, are found again wherever they stand now. */
  const cut = (bytes: Buffer, begin: number, end: number, old: readonly Piece<Result>[]): Piece<Result>[] => {
    const pieces: Piece<Result>[] = [];
    let expected = 0;
    for (let from = begin; from < end; ) {
      const next = bytes.indexOf(mark, from + 1);
      const to = next === -1 || next > end ? end : next;
      const isSame = (piece: Piece<Result>) =>
        piece.end - piece.begin === to - from && bytes.compare(last.bytes, piece.begin, piece.end, from, to) === 0;
      const ahead = old.slice(expected, expected + reach).findIndex(isSame);
      const known = ahead === -1 ? undefined : old[expected + ahead];
      pieces.push(known ? { begin: from, end: to, result: known.result } : readPiece(bytes, from, to));
      expected += ahead + 1;
      from = to;
    }
    return pieces;
  };
  const compare = (bytes: Buffer): readonly Result[] => {
    const [first, end] = [bytes.indexOf("["), bytes.lastIndexOf("]")];
    if (first === -1 || end < first) throw new SyntaxError("there is no list");
    const same = countSame(last.bytes, bytes);
    if (same === bytes.length && same === last.bytes.length) return last.results;
    const tail = countSameAtEnd(last.bytes, bytes, same);
    const shift = bytes.length - last.bytes.length;
    // A piece is as it was when all of it and the mark of the next one are; the first one does not begin with a mark.
    const before = last.pieces.filter((piece) => piece.end + mark.length <= same);
    const behind = last.pieces.filter(({ begin }, at) => at > 0 && begin >= last.bytes.length - tail);
    const after = behind.map((piece) => ({ ...piece, begin: piece.begin + shift, end: piece.end + shift }));
    const others = last.pieces.slice(before.length, last.pieces.length - behind.length);
    const changed = cut(bytes, before.at(-1)?.end ?? first + 1, after[0]?.begin ?? end, others);
    const pieces = [...before, ...changed, ...after];
    room = last.bytes;
    last = { bytes, pieces, results: pieces.map(({ result }) => result) };
    return last.results;
  };
  return () => {
    let memory = Buffer.from(room.buffer);
    // Two that come in at once do not share it.
    room = Buffer.alloc(0);
    let length = 0;
    return {
      add(part) {
        if (length + part.length > memory.length) {
          const wider = Buffer.allocUnsafeSlow((length + part.length) * 2);
          memory.copy(wider, 0, 0, length);
          memory = wider;
        }
        memory.set(part, length);
        length += part.length;
      },
      end() {
        const bytes = memory.subarray(0, length);
        room = bytes;
        return compare(bytes);
      },
    };
  };
}

/** Without what separated a piece from those around it. */
function withoutCommas(piece: string): string {
  const text = piece.trim();
  return text.slice(text.startsWith(",") ? 1 : 0, text.endsWith(",") ? -1 : undefined);
}

function none() {
  return { bytes: Buffer.alloc(0), pieces: [], results: [] };
}

/** Of how many bytes both begin alike. */
function countSame(one: Buffer, other: Buffer): number {
  const most = Math.min(one.length, other.length);
  return measure(most, (from, to) => one.compare(other, from, to, from, to) === 0);
}

/** With how many bytes both end alike, those left out with which they begin alike. */
function countSameAtEnd(one: Buffer, other: Buffer, begin: number): number {
  const [end, otherEnd] = [one.length, other.length];
  return measure(
    Math.min(end, otherEnd) - begin,
    (from, to) => one.compare(other, otherEnd - to, otherEnd - from, end - to, end - from) === 0,
  );
}

/** Up to where `isSame` holds without a gap: in long steps first, for memory is compared much faster than bytes one by one. */
function measure(most: number, isSame: (from: number, to: number) => boolean): number {
  let at = 0;
  for (let step = 1 << 16; step >= 1; step >>= 4) while (at + step <= most && isSame(at, at + step)) at += step;
  return at;
}
