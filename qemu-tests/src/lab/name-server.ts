import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** A name server that knows one IPv4 address, over UDP and TCP (RFC 1035), in the namespace of the caller. */

const typeA = 1;
const secondsToLive = 1;

export type NameServer = { stop(): void };

/** `port`: 53 unless told. Answers every name of a question with the address, whoever asks. */
export async function startNameServer(listen: string, address: string, port = 53): Promise<NameServer> {
  const datagrams = createSocket("udp4");
  datagrams.on("message", (question, { port: to, address: from }) => {
    const answer = answerQuestion(question, address);
    if (answer) datagrams.send(answer, to, from);
  });
  datagrams.bind(port, listen);
  await once(datagrams, "listening");
  const streams = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    // A question is smaller than a segment, and has its length before it (section 4.2.2).
    socket.once("data", (data) => {
      const answer = answerQuestion(data.subarray(2), address);
      if (!answer) return socket.destroy();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      return socket.end(Buffer.concat([length, answer]));
    });
  });
  streams.listen(port, listen);
  await once(streams, "listening");
  return {
    stop: () => {
      datagrams.close();
      streams.close();
    },
  };
}

/** Undefined for what is no question. Other types than A have no record, which is an answer too. */
function answerQuestion(question: Buffer, address: string): Buffer | undefined {
  const end = question.indexOf(0, 12) + 5;
  if (end < 17 || question.length < end) return undefined;
  const isA = question.readUInt16BE(end - 4) === typeA;
  const header = Buffer.from(question.subarray(0, 12));
  // A response, authoritative, recursion desired and available; no authority and no additional records.
  header.writeUInt16BE(0x8580, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isA ? 1 : 0, 6);
  header.writeUInt32BE(0, 8);
  // The name is the one at offset 12 (section 4.1.4).
  const record = [0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, secondsToLive, 0, 4, ...address.split(".").map(Number)];
  return Buffer.concat([header, question.subarray(12, end), Buffer.from(isA ? record : [])]);
}
