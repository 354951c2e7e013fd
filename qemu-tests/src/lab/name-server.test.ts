import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import t from "tap";
import { startNameServer } from "./name-server.ts";

t.test("the lab's name server answers over UDP and TCP", async (t) => {
  const port = 20_053 + (process.pid % 10_000);
  const server = await startNameServer("127.0.0.1", "10.10.0.123", port);
  t.teardown(() => server.stop());
  const resolver = new Resolver({ timeout: 2_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  t.same(await resolver.resolve4("probe.lab.test"), ["10.10.0.123"]);
  await t.rejects(resolver.resolve6("probe.lab.test"), { code: "ENODATA" }, "no such record is an answer");

  const name = Buffer.from("\x05probe\x03lab\x04test\0", "latin1");
  const question = Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), name, Buffer.from([0, 1, 0, 1])]);
  const socket = connect(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  socket.write(Buffer.concat([Buffer.from([0, question.length]), question]));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const answer = Buffer.concat(chunks);
  t.equal(answer.readUInt16BE(0), answer.length - 2);
  t.same([...answer.subarray(-4)], [10, 10, 0, 123]);
});
