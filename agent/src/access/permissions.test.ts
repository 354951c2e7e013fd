import t from "tap";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import { requireNoEscalation } from "./escalation.ts";
import {
  compileRole,
  grantsCover,
  isGranted,
  isPermitted,
  mayGrant,
  type Principal,
  type Scope,
} from "./permissions.ts";
import { accessSettings } from "./schema.ts";

const grants = (...permissions: string[]) => compileRole({ permissions });
const bound = (...farms: string[]) => compileRole({ permissions: ["*:*", "system:read"], bindings: { farms } });
const on = (name: string): Scope => ({ name });

t.test("a permission covers what it names, and * covers all", async (t) => {
  t.equal(isGranted(grants("farms:read"), "farms:read"), true);
  t.equal(isGranted(grants("farms:*"), "farms:update"), true);
  t.equal(isGranted(grants("*:read"), "system:read"), true);
  t.equal(isGranted(grants("*:*"), "system:update"), true);
  t.equal(isGranted(grants("farms:read", "*:list"), "farms:update"), false);
  t.equal(isGranted([], "farms:read"), false);
  t.equal(isGranted([], "farms:read", "some"), false);
});

t.test("a bound role is good for the objects it names and no others", async (t) => {
  const web = bound("web", "shop-*");
  t.equal(isGranted(web, "farms:update", on("web")), true);
  t.equal(isGranted(web, "farms:delete", on("shop-7")), true);
  t.equal(isGranted(web, "farms:update", on("mail")), false);
  t.equal(isGranted(web, "farms:update"), false, "not for all of them");
  t.equal(isGranted(web, "farms:read", "some"), true);
  t.equal(isGranted(bound(), "farms:read", "some"), false, "bound to nothing");
  t.equal(isGranted(web, "system:read"), true, "what the role names besides is not bound");
  for (const other of ["access:update", "system:update", "network:read", "configuration:update"] as const)
    t.equal(isGranted(web, other, "some"), false, `* stands for the bound kinds, not ${other}`);
});

t.test("an API key does no more than its owner may do now", async (t) => {
  const key = { grants: grants("farms:*", "system:read"), ceiling: bound("web") };
  t.equal(isPermitted(key, "farms:update", on("web")), true);
  t.equal(isPermitted(key, "farms:update", on("mail")), false);
  t.equal(isPermitted(key, "system:read"), true);
  t.equal(isPermitted({ ...key, ceiling: [] }, "system:read"), false);
});

t.test("nobody hands on what he does not have", async (t) => {
  t.equal(grantsCover(grants("*:*"), grants("farms:*", "access:update")), true);
  t.equal(grantsCover(grants("farms:*", "system:*"), grants("*:read")), false);
  t.equal(grantsCover(grants("farms:*"), bound("web").slice(0, 1)), true);
  t.equal(grantsCover(bound("web"), grants("farms:read")), false);
  t.equal(grantsCover(bound("shop-*"), bound("shop-1", "shop-a*")), true);
  t.equal(grantsCover(bound("shop-1"), bound("shop-*")), false);
  t.equal(mayGrant({ grants: grants("*:*"), ceiling: grants("farms:*") }, grants("system:read")), false);
});

t.test("only who has all the rights of a role takes its second factor away", async (t) => {
  const asks = (...roles: string[]): Configuration => ({
    ...emptyConfiguration(),
    access: accessSettings.parse({ secondFactor: { roles } }),
  });
  const uma: Principal = { user: "uma", source: "192.0.2.1", means: "session", grants: grants("access:*", "farms:*") };
  const now = new Date("2026-01-02T03:04:05Z");
  const change = (from: Configuration, to: Configuration) => () => requireNoEscalation(uma, from, to, now);
  t.throws(change(asks("admin", "auditor"), asks("auditor")), {
    code: "forbidden",
    problems: [{ path: "access.secondFactor.roles", message: /rights of admin/ }],
  });
  t.doesNotThrow(change(asks("auditor"), asks("auditor", "admin")), "asking for more takes nothing from anybody");
  t.throws(() => requireNoEscalation({ ...uma, ceiling: grants("access:*") }, asks("farm-operator"), asks(), now));
});
