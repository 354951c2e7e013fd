import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

const docs = dirname(fileURLToPath(import.meta.url));
const root = dirname(docs);

/** Rows `| capability | path/to/file.test.ts: words of the test's title |`. */
function readRows(): { capability: string; file: string; title: string }[] {
  const lines = readFileSync(join(docs, "features.md"), "utf8").split("\n");
  return lines
    .filter((line) => line.startsWith("| ") && !line.startsWith("| capability") && !line.startsWith("|--"))
    .map((line) => {
      const [, capability = "", test = ""] = line.split("|").map((cell) => cell.trim());
      const [file = "", ...title] = test.replaceAll("`", "").split(": ");
      return { capability, file, title: title.join(": ") };
    });
}

t.test("every capability in features.md is proved by a test that exists", async (t) => {
  const rows = readRows();
  t.ok(rows.length > 0);
  for (const { capability, file, title } of rows) {
    const path = join(root, file);
    const proved = title !== "" && existsSync(path) && readFileSync(path, "utf8").includes(title);
    t.ok(proved, `${capability}: ${file}: ${title}`);
  }
});

t.test("links in the documentation lead somewhere", async (t) => {
  const pages = ["README.md", "CONTRIBUTING.md", "docs/develop.md"];
  for (const page of pages) {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      t.ok(existsSync(join(root, dirname(page), target)), `${page} -> ${target}`);
    }
  }
});
