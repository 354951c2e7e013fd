import t from "tap";
import { z } from "zod";
import { endangersAccess } from "../access/endangers.ts";
import { user } from "../access/schema.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import { endangersNetwork } from "../network/endangers.ts";
import { networkInterface } from "../network/schema.ts";
import { endangersSystem } from "../system/endangers.ts";
import { system } from "../system/schema.ts";

/** What can cut off an operator, told by each subsystem that can. */

const eth = (address: string, gateway?: string) =>
  networkInterface.parse({ ipv4: { method: "static", addresses: [address], gateway } });
const before: Configuration = {
  ...emptyConfiguration(),
  system: system.parse({ management: { interfaces: ["nic0"] }, ssh: { enabled: true } }),
  interfaces: { nic0: eth("192.0.2.5/24", "192.0.2.1"), nic1: eth("10.0.0.5/24") },
  users: { admin: user.parse({ roles: ["admin"], sshKeys: ["ssh-ed25519 AAAA ada"] }) },
};
const interfaces = (change: Configuration["interfaces"]) => ({
  ...before,
  interfaces: { ...before.interfaces, ...change },
});

t.test("a network change endangers by the management interface or by the default gateway", async (t) => {
  const judge = (after: Configuration) => endangersNetwork(before, after);
  const [nic0] = [before.interfaces.nic0 ?? eth("192.0.2.5/24")];
  t.same(judge(before), []);
  t.same(judge(interfaces({ nic1: eth("10.0.0.6/24"), nic2: eth("10.9.0.1/24") })), [], "other interfaces do not");
  t.same(judge(interfaces({ nic0: { ...nic0, description: "uplink" } })), [], "words do not");
  t.same(judge(interfaces({ nic0: eth("192.0.2.6/24", "192.0.2.1") })), ["the interface nic0 is used for management"]);
  t.same(judge({ ...before, interfaces: { nic1: eth("10.0.0.5/24") } }), [
    "the interface nic0 is used for management",
    "the IPv4 default gateway changes",
  ]);
  const learns = networkInterface.parse({ ipv6: { method: "automatic" } });
  t.same(judge(interfaces({ nic2: learns })), ["the IPv6 default gateway changes"]);
});

t.test("a change of the system's settings endangers by where and how the box is managed", async (t) => {
  const judge = (change: object) => endangersSystem(before, { ...before, system: system.parse(change) });
  const { management, ssh } = before.system;
  t.same(judge({ hostname: "lb2", management, ssh }), []);
  t.match(judge({ management: { ...management, port: 8443 }, ssh }), [/which port/]);
  t.match(judge({ management, ssh: { enabled: false } }), [/SSH/]);
  const closed = { ...before, system: system.parse({ management }) };
  t.same(endangersSystem(closed, before), [], "opening SSH takes nothing away");
});

t.test("a change of the accounts endangers by those that exist", async (t) => {
  const admin = { roles: ["admin"], sshKeys: ["ssh-ed25519 AAAA ada"] };
  const judge = (users: Record<string, object>, change: Partial<Configuration> = {}) =>
    endangersAccess(before, { ...before, ...change, users: z.record(z.string(), user).parse(users) });
  t.same(judge({ admin: { ...admin, fullName: "Ada" }, eve: {} }), []);
  t.match(judge({ admin: { ...admin, sshKeys: [] } }), [/how user admin logs in/]);
  t.match(judge({ admin: { ...admin, roles: [] } }), [/user admin/]);
  t.match(judge({}), [/user admin/]);
  const operators = { operators: { description: "", roles: ["operator"] } };
  t.same(judge({ admin }, { groups: operators }), [], "a new group takes nothing away");
  const granted = { ...before, groups: operators };
  t.match(endangersAccess(granted, before), [/the group operators/]);
});
