import { deepEqual, equal } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import t from "tap";
import { parse, stringify } from "yaml";
import { renderAccess } from "../../access/render.ts";
import { verifyAccess } from "../../access/verify.ts";
import { decodeConfiguration } from "../codec.ts";
import { migrateFiles, migrations, type StoredFile, schemaVersion } from "./index.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** Ordered by path, and frozen: a migration changes nothing it is given. */
function readTree(root: string): StoredFile[] {
  const paths = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
  return paths.map((path) => Object.freeze({ path, text: readFileSync(join(root, path), "utf8") }));
}

t.test("each migration makes of the files before it the files after it", async (t) => {
  const directories = readdirSync(here, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  t.same(
    directories.map(({ name }) => name).sort((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10)),
    migrations.map(({ to, name }) => `${to}-${name}`),
    "one directory of fixtures for each",
  );
  for (const [at, { to, name, migrate }] of migrations.entries()) {
    t.equal(to, at + 2, "numbered without a gap");
    const before = Object.freeze(readTree(join(here, `${to}-${name}`, "before")));
    const after = readTree(join(here, `${to}-${name}`, "after"));
    t.same(migrate(before), after, name);
    const configuration = decodeConfiguration(migrateFiles(before, to - 1));
    t.same(verifyAccess(configuration), [], "what comes out is a configuration of today, and somebody can manage it");
    t.same(migrateFiles(after, to), migrateFiles(before, to - 1));
  }
});

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const value = fc.oneof(word, fc.integer(), fc.boolean(), fc.array(word, { maxLength: 3 }), fc.constant("a: b # 'c'"));
/** Objects of any version: migrations know no schemas, and neither does this. */
const object = fc.dictionary(
  fc.oneof(word, fc.constantFrom("roles", "sshKeys", "description", "passwordHash")),
  fc.oneof(value, fc.dictionary(word, value, { maxKeys: 3 })),
  { maxKeys: 6 },
);
const path = fc.oneof(
  fc.constantFrom("access/users/admin.yaml", "access/users/anna.yaml", "system.yaml", "farms/admin.yaml"),
  word.map((name) => `network/interfaces/${name}.yaml`),
);
const tree = fc
  .uniqueArray(fc.record({ path, object }), { selector: (each) => each.path, maxLength: 6 })
  .map((files) => files.map(({ path, object }) => Object.freeze({ path, text: stringify(object, { lineWidth: 0 }) })));

t.test("property: from whatever version, no object is lost or made, and what is of today stays", async (t) => {
  let changed = 0;
  fc.assert(
    fc.property(tree, fc.integer({ min: 1, max: schemaVersion }), (files, from) => {
      Object.freeze(files);
      const given = JSON.stringify(files);
      const migrated = migrateFiles(files, from);
      equal(JSON.stringify(files), given, "what was given is as it was");
      const ordered = [...files].sort((one, other) => (one.path < other.path ? -1 : 1));
      deepEqual(
        migrated.map((each) => each.path),
        ordered.map((each) => each.path),
      );
      deepEqual(migrateFiles(files, from), migrated, "the same again");
      deepEqual(migrateFiles(migrated, schemaVersion), migrated, "what is of today stays");
      // A restart in the middle of an update: twice is once.
      deepEqual(migrateFiles(migrated, from), migrated);
      for (const [at, { path, text }] of ordered.entries()) {
        const [before, after] = [text, migrated[at]?.text ?? ""].map((each) => parse(each) ?? {});
        const fields = Object.entries(after).filter(([key]) => Object.hasOwn(before, key));
        deepEqual(Object.fromEntries(fields), before, `${path} keeps every field it had`);
        if (text !== migrated[at]?.text) changed += 1;
      }
    }),
    { numRuns: 200, examples: [[[{ path: "access/users/admin.yaml", text: "sshKeys: []\n" }], 1]] },
  );
  t.ok(changed > 0, `${changed} files were changed`);
});

t.test("property: generations of version 1 with anything in them become configurations of today", async (t) => {
  const user = fc.record({ sshKeys: fc.constant([]), description: fc.constantFrom("", "of old", "x: y") });
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("admin", "anna", "ben"), user), (users) => {
      const files = Object.entries(users).map(([name, user]) => ({
        path: `access/users/${name}.yaml`,
        text: stringify(user),
      }));
      const { users: found } = decodeConfiguration(migrateFiles(files, 1));
      deepEqual(Object.keys(found).sort(), Object.keys(users).sort());
      for (const [name, { description, roles }] of Object.entries(found)) {
        equal(description, users[name]?.description);
        deepEqual(roles, name === "admin" ? ["admin"] : [], "who was the only one has the role, and nobody else");
      }
    }),
    { numRuns: 100 },
  );
  t.pass("100 random generations");
});

t.test("the files of today are left as they are, those of a newer system are refused", async (t) => {
  const files = [{ path: "access/users/admin.yaml", text: "sshKeys: []\n" }];
  t.same(migrateFiles(files, schemaVersion), files);
  t.throws(() => migrateFiles(files, schemaVersion + 1), {
    code: "incompatible",
    message: `the configuration has schema version ${schemaVersion + 1}, and this system knows versions up to ${schemaVersion}: a newer system wrote it`,
  });
  t.throws(() => migrateFiles([{ path: "access/users/admin.yaml", text: "{" }], 1), {
    code: "corrupt",
    message: /schema version 2 \(administrator-role\)/,
  });
});

t.test("the user of a version without roles becomes the administrator, in the shell too", async (t) => {
  const path = "access/users/admin.yaml";
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
  const text = `sshKeys:\n  - ${key}\n`;
  const accounts = (files: StoredFile[]) => renderAccess(decodeConfiguration(files)).accounts;
  t.match(accounts([{ path, text }]), [{ name: "admin", shell: false, administrator: false }]);
  t.match(accounts(migrateFiles([{ path, text }], 1)), [{ name: "admin", shell: true, administrator: true }]);
  const withRoles = { path, text: `${text}roles: []\n` };
  t.same(migrateFiles([withRoles], 1), [withRoles], "whose roles were taken away gets none back");
  const other = { path: "access/users/anna.yaml", text };
  t.same(migrateFiles([other], 1), [other], "nobody else gets any");
});
