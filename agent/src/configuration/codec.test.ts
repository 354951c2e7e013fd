import { deepStrictEqual, notEqual } from "node:assert/strict";
import fc from "fast-check";
import t from "tap";
import { user } from "../access/schema.ts";
import { decodeConfiguration, digestFiles, encodeConfiguration } from "./codec.ts";
import { compareConfigurations, listChanges } from "./difference.ts";
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
