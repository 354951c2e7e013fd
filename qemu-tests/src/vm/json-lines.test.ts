import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { GuestChannel } from "./channel.ts";
import { parseObject } from "./json-lines.ts";

/** A guest on the other side of a real socket, answering with what it is given. */
async function serve(t: Test, answer: (line: string, socket: Socket) => void): Promise<string> {
  // Not in t.testdir(): its long names do not fit into a socket's path, which is then cut without a word.
  const directory = await mkdtemp(join(tmpdir(), "steelyard-"));
  const path = join(directory, "channel");
  const server = createServer((socket) => {
    let rest = "";
    socket.on("data", (data) => {
      const lines = (rest + data.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) answer(line, socket);
    });
  });
  server.listen(path);
  await once(server, "listening");
  t.teardown(async () => {
    server.close();
    await rm(directory, { recursive: true });
  });
  return path;
}

t.test("an answer finds its question, though others and broken lines come before it", async (t) => {
  const path = await serve(t, (line, socket) => {
    const { id, argv } = JSON.parse(line) as { id: number; argv: string[] };
    socket.write('{"id":1,"code":9}\nhalf of a li');
    socket.write(`ne\n${JSON.stringify({ id, code: 0, stdout: argv.join("+"), stderr: "" })}\n`);
  });
  const channel = await GuestChannel.connect(path);
  t.teardown(() => channel.close());
  t.match(await channel.ask(["a", "b"], 1_000), { code: 0, stdout: "a+b" });
});

t.test("a question without an answer fails in time, naming the command", async (t) => {
  const channel = await GuestChannel.connect(await serve(t, () => {}));
  t.teardown(() => channel.close());
  await t.rejects(channel.ask(["sleep", "9"], 50), /sleep 9: no answer in 50 ms/);
});

t.test("a machine that goes away ends the questions under way", async (t) => {
  const channel = await GuestChannel.connect(await serve(t, (_, socket) => socket.destroy()));
  await t.rejects(channel.ask(["true"], 5_000), /QEMU ended/);
});

t.test("only objects are messages", async (t) => {
  t.same(parseObject('{"a":1}'), { a: 1 });
  for (const line of ["", "[1]", "null", "1", "{"]) t.equal(parseObject(line), undefined);
});
