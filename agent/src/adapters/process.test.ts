import t from "tap";
import { run } from "./process.ts";

t.test("output of any length goes line by line and is not kept", async (t) => {
  let count = 0;
  let last = "";
  const { code, stdout } = await run(["seq", "3000000"], {
    onLine: (line) => {
      count += 1;
      last = line;
    },
  });
  t.match({ code, stdout, count, last }, { code: 0, stdout: "", count: 3_000_000, last: "3000000" });
});

t.test("a command that fails does so in its own words, whether its lines were taken or not", async (t) => {
  const failing = ["sh", "-c", "echo one; echo wrong >&2; exit 3"] as const;
  const lines: string[] = [];
  const message = /exit status 3: wrong/;
  await t.rejects(run(failing), { code: "command-failed", message });
  await t.rejects(run(failing, { onLine: (line) => lines.push(line) }), { code: "command-failed", message });
  t.same(lines, ["one"]);
  t.match(await run(failing, { accept: [3], onLine: () => {} }), { code: 3, stderr: "wrong\n" });
});

t.test("a command that does not end is ended", async (t) => {
  const message = "sleep: no answer in 100 ms";
  await t.rejects(run(["sleep", "60"], { timeout: 100 }), { code: "command-failed", message });
  await t.rejects(run(["sleep", "60"], { timeout: 100, onLine: () => {} }), { code: "command-failed", message });
});
