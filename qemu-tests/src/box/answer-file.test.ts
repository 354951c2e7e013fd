import t from "tap";
import { parse } from "yaml";
import { configuration } from "../../../agent/src/configuration/schema.ts";
import { verifyFarms } from "../../../agent/src/lslb/l4/verify.ts";
import { verifyNetwork } from "../../../agent/src/network/verify.ts";
import { makeAnswerFile, makePassword } from "./answer-file.ts";
import { makeFarm } from "./farms.ts";

/** The box's own schema and checks, so that a change there which breaks the lab is noticed without a virtual machine. */
t.test("the box accepts the lab's answer file and its farms", async (t) => {
  const text = makeAnswerFile(makePassword(), "lb1");
  t.match(text, /^#steelyard\n/, "the first line NoCloud needs");
  const { system, interfaces, virtualAddresses } = parse(text);
  const farms = {
    web: makeFarm(),
    web6: makeFarm({ family: "ipv6" }),
    names: makeFarm({ protocol: "udp", natType: "dnat", algorithm: "weight", weights: { b1: 3, b2: 1 } }),
  };
  const parsed = configuration.parse({ system, interfaces, virtualAddresses, farms, users: {} });
  t.same([...verifyNetwork(parsed), ...verifyFarms(parsed)], []);
});

t.test("a password is long and another one each time", async (t) => {
  t.equal(makePassword().length, 20);
  t.not(makePassword(), makePassword());
});
