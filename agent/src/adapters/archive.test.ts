import { gzipSync } from "node:zlib";
import { test } from "tap";
import { Header } from "tar";
import { readArchive } from "./archive.ts";

type Entry = { path: string; text?: string; type?: "File" | "SymbolicLink" | "Link" | "Directory" | "CharacterDevice" };

/** A tar archive of entries that tar(1) might not make. */
function makeTar(entries: Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, text = "", type = "File" }) => {
    const content = Buffer.from(text);
    const linkpath = type.endsWith("Link") ? { linkpath: "/etc/shadow" } : {};
    const header = new Header({ path, size: content.length, type, mode: 0o644, ...linkpath });
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    return [block, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

test("files are read by their clean path, packed or not; the later of two of the same path counts", async (t) => {
  const tarball = makeTar([
    { path: "./usr//local/a", text: "old" },
    { path: "usr/local/", type: "Directory" },
    { path: "/usr/local/a", text: "new" },
    { path: "empty" },
  ]);
  for (const data of [tarball, gzipSync(tarball)]) {
    const { files, ignored } = await readArchive(data);
    t.same(
      [...files].map(([path, content]) => [path, content.toString()]),
      [
        ["usr/local/a", "new"],
        ["empty", ""],
      ],
    );
    t.same(ignored, []);
  }
});

test("links and devices are left out and told", async (t) => {
  const { files, ignored } = await readArchive(
    makeTar([
      { path: "a", text: "1" },
      { path: "soft", type: "SymbolicLink" },
      { path: "hard", type: "Link" },
      { path: "null", type: "CharacterDevice" },
    ]),
  );
  t.same([...files.keys()], ["a"]);
  t.match(ignored, [
    { path: "soft", reason: /symbolic link/ },
    { path: "hard", reason: /hard link/ },
    { path: "null", reason: /CharacterDevice/ },
  ]);
});

test("paths that climb out are refused", async (t) => {
  for (const path of ["../etc/passwd", "a/../../b", "a/..", "a\nb"])
    await t.rejects(readArchive(makeTar([{ path, text: "1" }])), { code: "bad-input" });
});

test("bombs run into the limits", async (t) => {
  const limits = { size: 1024 * 1024, fileSize: 64 * 1024, entries: 10 };
  const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
  await t.rejects(readArchive(bomb, limits), { code: "too-large", message: /more than 1 MiB/ });
  await t.rejects(readArchive(Buffer.alloc(2 * 1024 * 1024), limits), { code: "too-large" });
  const big = makeTar([{ path: "big", text: "x".repeat(100 * 1024) }]);
  await t.rejects(readArchive(big, limits), { code: "too-large", message: /big/ });
  const many = makeTar(Array.from({ length: 11 }, (_, at) => ({ path: `f${at}` })));
  await t.rejects(readArchive(many, limits), { code: "too-large", message: /10 entries/ });
});

test("what is no archive, or half of one, is refused", async (t) => {
  const tarball = makeTar([{ path: "a", text: "x".repeat(5000) }]);
  for (const data of [
    Buffer.from("hello"),
    Buffer.alloc(0),
    Buffer.alloc(4096),
    Buffer.from("x".repeat(4096)),
    gzipSync(tarball).subarray(0, 60),
    gzipSync(Buffer.from("hello")),
    tarball.subarray(0, 2048),
  ])
    await t.rejects(readArchive(data), { code: "bad-input" });
});
