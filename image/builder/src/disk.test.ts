import { chmod, cp, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { patchBootSector, patchCoreImage, renderEnvironmentBlock } from "./grub.ts";
import { hashInputs } from "./hash.ts";
import { isCurrent, writeChecksums } from "./image.ts";
import { artefactPath } from "./index.ts";
import { findPartition, parsePartitions } from "./partitions.ts";
import { imageDirectory } from "./paths.ts";
import { readSection } from "./pe.ts";

t.test("inputs hash by content, name, link and executable bit, not by time or place", async (t) => {
  const one = t.testdir({ image: { "a.conf": "a", scripts: { run: "#!/bin/sh\n" } } });
  const hash = () => hashInputs([join(one, "image")], ["version 1"]);
  const first = await hash();
  await utimes(join(one, "image/a.conf"), 1, 1);
  t.equal(await hash(), first, "a touched file");
  await cp(join(one, "image"), join(one, "other"), { recursive: true });
  t.equal(await hashInputs([join(one, "other")], ["version 1"]), first, "another place");
  t.not(await hashInputs([join(one, "image")], ["version 2"]), first, "another version");
  await chmod(join(one, "image/scripts/run"), 0o755);
  const executable = await hash();
  t.not(executable, first, "made executable");
  await symlink("/dev/null", join(one, "image/masked.service"));
  t.not(await hash(), executable, "a link more");
});

t.test("a stamp counts only with its artefact, and only when it is the same", async (t) => {
  const directory = t.testdir({ stamp: "abc\n", "disk.raw": "x" });
  const [stamp, disk] = [join(directory, "stamp"), join(directory, "disk.raw")];
  t.ok(await isCurrent(stamp, "abc", disk));
  t.notOk(await isCurrent(stamp, "abd", disk));
  t.notOk(await isCurrent(join(directory, "none"), "abc", disk));
  t.notOk(await isCurrent(stamp, "abc", join(directory, "gone.raw")));
});

t.test("checksums are sha256sum's, and a new medium leaves the others' lines", async (t) => {
  const directory = t.testdir({ "steelyard.raw": "disk", "manifest.json": "{}", "steelyard.qcow2": "one" });
  await writeChecksums(directory, ["steelyard.raw", "manifest.json"]);
  await writeChecksums(directory, ["steelyard.qcow2"]);
  await writeFile(join(directory, "steelyard.qcow2"), "two");
  await writeChecksums(directory, ["steelyard.qcow2"]);
  const lines = (await readFile(join(directory, "SHA256SUMS"), "utf8")).trimEnd().split("\n");
  t.strictSame(
    lines.map((line) => line.slice(66)),
    ["manifest.json", "steelyard.qcow2", "steelyard.raw"],
  );
  t.equal(lines[1], "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3  steelyard.qcow2");
});

t.test("GRUB's boot sector finds the core image, and that finds its own rest", async (t) => {
  const sector = patchBootSector(Buffer.alloc(512, 0xee), 2048);
  t.equal(sector.readBigUInt64LE(0x5c), 2048n);
  t.equal(sector.readUInt16LE(0x66), 0x9090, "the check for broken BIOS drive numbers is jumped over no more");
  t.equal(sector[0x5b], 0xee);
  t.equal(sector[0x64], 0xee);
  const core = patchCoreImage(Buffer.alloc(4096, 0xee), 2048);
  t.equal(core.readBigUInt64LE(500), 2049n);
  t.equal(core.readUInt16LE(508), 0xeeee, "its length stays as grub-mkimage wrote it");
});

t.test("the environment block is what GRUB writes back in place: 1024 bytes", async (t) => {
  const block = renderEnvironmentBlock({ first: "a", a_tries: "3" });
  t.equal(block.length, 1024);
  t.match(block, /^# GRUB Environment Block\nfirst=a\na_tries=3\n#+$/);
});

t.test("a section of a kernel image is read as long as it is in memory", async (t) => {
  const file = Buffer.alloc(1024);
  file.writeUInt32LE(0x80, 0x3c);
  file.write("PE\0\0", 0x80, "latin1");
  file.writeUInt16LE(2, 0x86);
  file.writeUInt16LE(0, 0x94);
  const section = (at: number, name: string, size: number, position: number) => {
    file.write(name, at, "latin1");
    file.writeUInt32LE(size, at + 8);
    file.writeUInt32LE(512, at + 16);
    file.writeUInt32LE(position, at + 20);
  };
  section(0x98, ".text", 4, 256);
  section(0xc0, ".cmdline", 9, 512);
  file.write("roothash=", 512, "latin1");
  const directory = t.testdir({ "kernel.efi": file });
  t.equal((await readSection(join(directory, "kernel.efi"), ".cmdline"))?.toString(), "roothash=");
  t.equal(await readSection(join(directory, "kernel.efi"), ".ucode"), undefined);
});

t.test("partitions are found by label", async (t) => {
  const json = JSON.stringify({
    partitiontable: {
      partitions: [
        { node: "/d/steelyard.raw1", start: 2048, size: 2048, uuid: "AA", name: "steelyard-bios" },
        { node: "/d/steelyard.raw2", start: 4096, size: 1048576, uuid: "BB" },
      ],
    },
  });
  const partitions = parsePartitions(json);
  t.strictSame(findPartition(partitions, "steelyard-bios"), {
    number: 1,
    label: "steelyard-bios",
    uuid: "aa",
    start: 2048,
    sectors: 2048,
  });
  t.throws(() => findPartition(partitions, "steelyard-esp"), { message: "the disk has no partition steelyard-esp" });
});

t.test("the slot's tries are set on the box as GRUB reads them", async (t) => {
  const directory = t.testdir({ grubenv: renderEnvironmentBlock({ first: "a", a_tries: "2", b_tries: "none" }) });
  const path = join(directory, "grubenv");
  const { execa } = await import("execa");
  const script = join(import.meta.dirname, "../../overlay/usr/lib/steelyard/grub-environment");
  await execa("sh", [script, path, "a_tries=good", "extra=quiet"]);
  t.equal(
    await readFile(path, "utf8"),
    renderEnvironmentBlock({ first: "a", b_tries: "none", a_tries: "good", extra: "quiet" }),
  );
});

t.test("others find the artefacts by profile", async (t) => {
  t.equal(artefactPath("virt", "qcow2"), join(imageDirectory("virt"), "steelyard.qcow2"));
});
