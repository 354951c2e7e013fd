import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
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
