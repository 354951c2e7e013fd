import t from "tap";
import { countRepeatedSyns, parseRepeatedSyns } from "./lost-packets.ts";

t.test("the value stands below its name", async (t) => {
  const text = "TcpExt: SyncookiesSent TCPSynRetrans TCPOrigDataSent\nTcpExt: 1 42 7\nIpExt: InNoRoutes\nIpExt: 9\n";
  t.equal(parseRepeatedSyns(text), 42);
  t.throws(() => parseRepeatedSyns("IpExt: InNoRoutes\nIpExt: 9\n"), /no TCPSynRetrans/);
});

t.test("this kernel has it", async (t) => {
  t.ok((await countRepeatedSyns()) >= 0);
});
