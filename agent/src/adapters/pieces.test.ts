import fc from "fast-check";
import t from "tap";
import { type Intake, rememberPieces } from "./pieces.ts";

type Entry = { rule?: unknown; chain?: unknown };

const nft = { mark: ', {"rule": ', joint: ']}\n{"nftables": [' };
const nftlb = { mark: `\n${" ".repeat(16)}{` };

/** As nft writes it: a line for each family. */
function writeNft(lists: readonly (readonly Entry[])[]): string {
  const line = (list: readonly Entry[]) => `{"nftables": [${[{ metainfo: {} }, ...list].map(spaced).join(", ")}]}\n`;
  return lists.map(line).join("");
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${spaced(each)}`);
  return `{${fields.join(", ")}}`;
}

/** Takes in the text in parts of some length, as a pipe or a socket gives it, from memory that is used again. */
function takeIn<Result>(intake: Intake<Result>, text: string, length = 64): Intake<Result> {
  const bytes = Buffer.from(text);
  const memory = Buffer.alloc(length);
  for (let at = 0; at < bytes.length; at += length)
    intake.add(memory.subarray(0, bytes.copy(memory, 0, at, at + length)));
  return intake;
}

const entry = fc.oneof(
  fc.record({
    rule: fc.record({ chain: fc.string(), handle: fc.nat(9), expr: fc.constantFrom([], [{ drop: null }]) }),
  }),
  fc.record({ chain: fc.record({ name: fc.constantFrom("a", "ü", '", {"rule": ', "]}"), prio: fc.nat(3) }) }),
);
const lists = fc.array(entry, { maxLength: 12 });
const length = fc.integer({ min: 1, max: 80 });

t.test("whatever changes from one list to the next, the entries are those of the text", async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(lists, lists), { minLength: 2, maxLength: 5 }), length, (turns, length) => {
      const read = rememberPieces(nft, (entries: Entry[]) => entries);
      for (const turn of turns) {
        const found = takeIn(read(), writeNft(turn), length).end().flat();
        const wanted = turn.flatMap((list) => [{ metainfo: {} }, ...list]);
        if (JSON.stringify(found) !== JSON.stringify(wanted)) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
  const farms = fc.array(fc.record({ name: fc.string(), backends: fc.array(fc.record({ name: fc.string() })) }));
  fc.assert(
    fc.property(fc.array(farms, { minLength: 2, maxLength: 5 }), length, (turns, length) => {
      const read = rememberPieces(nftlb, (entries: unknown[]) => entries);
      return turns.every((turn) => {
        const found = takeIn(read(), JSON.stringify({ farms: turn }, null, 8), length)
          .end()
          .flat();
        return JSON.stringify(found) === JSON.stringify(turn);
      });
    }),
    { numRuns: 300 },
  );
  t.pass("600 sequences");
});

t.test("only what changed is read again, and what did not is the same object", async (t) => {
  let readings = 0;
  const read = rememberPieces(nft, (entries: Entry[]) => {
    readings++;
    return entries;
  });
  const rules = Array.from({ length: 50 }, (_, handle) => ({ rule: { chain: `farm-${handle}`, handle } }));
  const first = takeIn(read(), writeNft([rules, rules])).end();
  t.equal(readings, 101, "what stands before the first rule, and each rule");
  t.equal(takeIn(read(), writeNft([rules, rules])).end(), first, "the very same for the same text");
  const changed = rules.with(20, { rule: { chain: "farm-20", handle: 999 } });
  const second = takeIn(read(), writeNft([changed, rules])).end();
  t.ok(readings <= 103, `${readings - 101} of 101 pieces were read again`);
  t.equal(second[5], first[5]);
  t.equal(second[100], first[100]);
  t.same(second.flat(), [{ metainfo: {} }, ...changed, { metainfo: {} }, ...rules]);
  readings = 0;
  const last = { rule: { chain: "farm-last", handle: 50 } };
  const both = [...changed.toSpliced(2, 1), last];
  const third = takeIn(read(), writeNft([[{ chain: { name: "new" } }, ...both], rules])).end();
  t.ok(readings <= 5, `${readings} were read again, for what stands between two changes is found again`);
  t.equal(third[30], second[31]);
  t.same(third.flat(), [{ metainfo: {} }, { chain: { name: "new" } }, ...both, { metainfo: {} }, ...rules]);
});

t.test("a text that is no list is refused, and the next one read as if it had not been", async (t) => {
  const read = rememberPieces(nftlb, (entries: unknown[]) => entries);
  const good = JSON.stringify({ farms: [{ name: "web" }, { name: "mail" }] }, null, 8);
  t.same(takeIn(read(), good).end().flat(), [{ name: "web" }, { name: "mail" }]);
  for (const text of ["", "Not found", '{"farms": [{"name": "web"', '{"farms": [{"name": "web"]}', "[nonsense]"])
    t.throws(() => takeIn(read(), text).end(), SyntaxError, text);
  t.same(takeIn(read(), good).end().flat(), [{ name: "web" }, { name: "mail" }]);
  t.same(takeIn(read(), '{"farms": []}').end().flat(), []);
});

t.test("two texts that come in at once do not mix", async (t) => {
  const read = rememberPieces(nftlb, (entries: unknown[]) => entries);
  const write = (...names: string[]) => JSON.stringify({ farms: names.map((name) => ({ name })) }, null, 8);
  takeIn(read(), write("old", "older", "oldest")).end();
  const [one, other] = [read(), read()];
  const [texts, half] = [[write("web", "mail"), write("shop")] as const, 20];
  takeIn(one, texts[0].slice(0, half));
  takeIn(other, texts[1].slice(0, half));
  takeIn(one, texts[0].slice(half));
  takeIn(other, texts[1].slice(half));
  t.same(one.end().flat(), [{ name: "web" }, { name: "mail" }]);
  t.same(other.end().flat(), [{ name: "shop" }]);
});
