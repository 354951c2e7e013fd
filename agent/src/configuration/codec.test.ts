import { deepStrictEqual, notEqual } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { parse, stringify } from "yaml";
import { user } from "../access/schema.ts";
import { decodeConfiguration, digestFiles, encodeConfiguration } from "./codec.ts";
import { compareConfigurations, listChanges } from "./difference.ts";
import { readPlainYaml } from "./plain-yaml.ts";
import { type Configuration, emptyConfiguration, farm } from "./schema.ts";

/** Texts that YAML could take for something else, and any others a description may have. */
const words = fc.oneof(
  fc.constantFrom("", "no", "0x10", "1e3", "~", "null", "- a", "a: b", "# no", "'", '"', "|", "2026-01-02", "*a", "&a"),
  fc.string({ unit: "grapheme", maxLength: 40 }),
);
const description = words.filter((text) => user.safeParse({ description: text }).success);
const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9_-]{0,20}[a-z0-9])?$/);

const farms = fc.dictionary(
  name,
  fc
    .record({
      profile: fc.constant("l4xnat"),
      description,
      virtualAddresses: fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 3 }),
      ports: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }).map(String), { minLength: 1, maxLength: 3 }),
      backends: fc.dictionary(name, fc.record({ address: fc.ipV4(), weight: fc.integer({ min: 1, max: 255 }) }), {
        maxKeys: 3,
      }),
    })
    .map((object) => farm.parse(object)),
  { maxKeys: 5 },
);
const users = fc.dictionary(
  fc.constantFrom("admin", "anna", "ben"),
  fc.record({ description, roles: fc.uniqueArray(name, { maxLength: 2 }) }).map((object) => user.parse(object)),
);
const configuration: fc.Arbitrary<Configuration> = fc
  .record({ farms, users })
  .map((objects) => ({ ...emptyConfiguration(), ...objects }));

t.test("property: what is written to files is read back, and has one digest", async (t) => {
  fc.assert(
    fc.property(configuration, (before) => {
      const files = encodeConfiguration(before);
      const after = decodeConfiguration(files);
      deepStrictEqual(JSON.parse(JSON.stringify(after)), JSON.parse(JSON.stringify(before)));
      deepStrictEqual(encodeConfiguration(after), files);
    }),
    { numRuns: 100 },
  );
  t.pass("100 random configurations");
});

t.test("property: a difference is empty for equals alone, and turned round for the way back", async (t) => {
  const opposite = { added: "removed", removed: "added", changed: "changed" } as const;
  fc.assert(
    fc.property(configuration, configuration, (one, other) => {
      deepStrictEqual(compareConfigurations(one, structuredClone(one)), []);
      const there = listChanges(one, other);
      const back = listChanges(other, one).map(({ object, change }) => ({ object, change: opposite[change] }));
      deepStrictEqual(there, back);
      const shown = compareConfigurations(one, other).map(({ object, change }) => ({ object, change }));
      deepStrictEqual(shown, there, "what changed is shown; nothing here is secret");
      const [files, others] = [one, other].map((each) => digestFiles(encodeConfiguration(each)));
      if (there.length > 0) notEqual(files, others);
    }),
    { numRuns: 100 },
  );
  t.pass("100 random configurations");
});

/** The parser's answer, or why it has none. */
function parseOrRefuse(text: string): unknown {
  try {
    return parse(text, { logLevel: "error" });
  } catch {
    return "refused";
  }
}

t.test("the reader of plain YAML gives what the parser gives, or leaves the text to it", async (t) => {
  const read = [
    "a: text\nb: -5\nc: true\nd: []\ne: {}\n",
    'a: ""\nb: "8000"\nc: "a: b, # no"\n',
    "a:\n  b:\n    - 10.0.0.1\n    - 192.0.2.1/24\n    - 2001:db8::1\n  c:\n    d: 1\ne: 2\n",
    "time: 2026-01-02T03:04:05.678Z\n",
  ];
  for (const text of read) t.same(readPlainYaml(text), parse(text), text);
  const left = [
    ...["", "a: 1", "a:\n", "a: 1 # one\n", "a: 'b'\n", "a: 1\na: 2\n", "a: 1\n b: 2\n", "a: 1\n  b\n", "a:\n- b\n"],
    ...[
      "a: null\n",
      "a: True\n",
      "null: 1\n",
      "a: 1e3\n",
      "a: 012\n",
      "a: 1.5\n",
      'a: "\\n"\n',
      "a: |\n  b\n",
      "- a\n",
    ],
    ...[
      "a:\n  - b: 1\n",
      "a: [b]\n",
      "a: &b c\n",
      "a: b: c\n",
      "\ta: b\n",
      "a:\n    b: 1\n",
      "a: b\r\n",
      "---\na: b\n",
    ],
  ];
  for (const text of left) t.equal(readPlainYaml(text), undefined, JSON.stringify(text));

  let plain = 0;
  const agree = (text: string) => {
    const read = readPlainYaml(text);
    if (read === undefined) return;
    plain += 1;
    deepStrictEqual(read, parseOrRefuse(text));
  };
  const toText = (object: object) => stringify(object, { lineWidth: 0 });
  const odd = farms.map((all) => Object.values(all).map(toText));
  const usual = fc
    .record({
      description: fc.stringMatching(/^[A-Za-z][a-z0-9 .,:-]{0,12}[a-z0-9]$/),
      enabled: fc.boolean(),
      ports: fc.array(fc.integer({ min: 1, max: 65_535 }).map(String), { maxLength: 2 }),
      backends: fc.dictionary(name, fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), weight: fc.nat(255) }), {
        maxKeys: 2,
      }),
    })
    .map((object) => [toText(object)]);
  const objects = fc.oneof(odd, usual);
  fc.assert(
    fc.property(objects, (texts) => texts.forEach(agree)),
    { numRuns: 300 },
  );
  t.ok(plain > 50, `${plain} were plain`);
  // Anything a character of YAML's own, or a line in the wrong place, could turn into something else.
  const damage = fc.record({
    at: fc.nat(400),
    cut: fc.nat(2),
    put: fc.oneof(
      fc.stringMatching(/^[0-9a-z.-]{0,2}$/),
      fc.stringMatching(/^[ \n:\-"'#{}[\],&*!|>%@~0-9a-z.+=]{0,3}$/),
    ),
  });
  const spoil = (text: string, { at, cut, put }: { at: number; cut: number; put: string }) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + put + text.slice(place + cut);
  };
  plain = 0;
  fc.assert(
    fc.property(usual, fc.array(damage, { minLength: 1, maxLength: 2 }), (texts, damages) => {
      for (const text of texts) agree(damages.reduce(spoil, text));
    }),
    { numRuns: 1000 },
  );
  t.ok(plain > 40, `${plain} of the spoiled ones were plain`);
});
