// The root command channel of the QEMU tests: one JSON object per line in, one out, over a virtio-serial port.
//
//   in   {"id": 1, "argv": ["uname", "-r"], "timeout": 30, "input": "text for stdin"}      timeout in seconds; input may be left out
//   out  {"id": 1, "code": 0, "stdout": "…", "stderr": "…"}                               or {"id": 1, "error": "…"} when it could not run
//
// Requests run side by side and are answered as they end. It serves only when two things are true that only the owner of the
// hypervisor can make true, and who could write to the disk just as well: the port exists, and SMBIOS or the kernel command line says so.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const port = "/dev/virtio-ports/org.steelyard.lab";
const outputLimit = 16 * 1024 * 1024;
/** The unit does not start the program again after this exit status. */
const notLab = 77;

/** The OEM strings (structure type 11) of an SMBIOS table: DSP0134 sections 6.1 and 7.12. */
function readOemStrings(table) {
  const strings = [];
  let at = 0;
  while (at + 4 <= table.length) {
    const type = table[at];
    let end = at + table[at + 1];
    const first = end;
    while (end + 1 < table.length && (table[end] !== 0 || table[end + 1] !== 0)) end += 1;
    if (type === 11) strings.push(...table.toString("latin1", first, end).split("\0"));
    if (type === 127) break;
    at = end + 2;
  }
  return strings;
}

function isLab() {
  const table = "/sys/firmware/dmi/tables/DMI";
  if (existsSync(table) && readOemStrings(readFileSync(table)).includes("steelyard.lab=1")) return true;
  return readFileSync("/proc/cmdline", "utf8").trim().split(/\s+/).includes("steelyard.lab=1");
}

function run({ argv, timeout = 30, input = "" }) {
  return new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), { cwd: "/", stdio: "pipe" });
    const output = { stdout: [], stderr: [] };
    let size = 0;
    let complaint;
    const stop = (words) => {
      complaint ??= words;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => stop(`no end in ${timeout} s`), timeout * 1000);
    for (const name of ["stdout", "stderr"])
      child[name].on("data", (chunk) => {
        size += chunk.length;
        if (size > outputLimit) stop(`more than ${outputLimit} bytes of output`);
        else output[name].push(chunk);
      });
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ error: error.message });
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const text = (name) => Buffer.concat(output[name]).toString("utf8");
      const answer = { code: code ?? 128, stdout: text("stdout"), stderr: text("stderr") };
      resolve(complaint ? { ...answer, error: complaint } : signal ? { ...answer, signal } : answer);
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** Lines go out one after the other, each whole. */
function makeWriter(handle) {
  let last = Promise.resolve();
  return (message) => {
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    last = last.then(async () => {
      for (let at = 0; at < line.length; ) at += (await handle.write(line, at)).bytesWritten;
    });
    return last;
  };
}

async function answer(line, write) {
  let request;
  try {
    request = JSON.parse(line);
    const { argv } = request;
    if (!Array.isArray(argv) || argv.length === 0 || !argv.every((word) => typeof word === "string"))
      throw new Error("argv must be a list of strings, the program first");
  } catch (error) {
    await write({ id: request?.id ?? null, error: `bad request: ${error.message}` });
    return;
  }
  await write({ id: request.id, ...(await run(request)) });
}

if (!isLab()) {
  console.error("the port is there, but neither SMBIOS nor the kernel command line says steelyard.lab=1: not serving");
  process.exit(notLab);
}

const handle = await open(port, "r+");
const write = makeWriter(handle);
const buffer = Buffer.alloc(65536);
let pending = "";
const decoder = new TextDecoder();
for (;;) {
  const { bytesRead } = await handle.read(buffer, 0, buffer.length);
  if (bytesRead === 0) {
    // Nobody is connected on the host's side; a new listener starts with a new line.
    pending = "";
    await delay(200);
    continue;
  }
  const lines = (pending + decoder.decode(buffer.subarray(0, bytesRead), { stream: true })).split("\n");
  pending = lines.pop() ?? "";
  for (const line of lines)
    if (line.trim())
      answer(line, write).catch((error) => {
        console.error(error);
        process.exit(1);
      });
}
