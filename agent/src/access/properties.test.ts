import fc from "fast-check";
import t from "tap";
import { matchesPattern, patternCovers } from "./pattern.ts";
import {
  compileRole,
  everything,
  type Grant,
  grantsCover,
  isGranted,
  isPermitted,
  mayGrant,
  type Permission,
  type Scope,
} from "./permissions.ts";

/** What must hold for whatever roles people write. Few words, so that they meet. */

const resource = fc.constantFrom("farms", "network", "certificates", "system", "access");
const verb = fc.constantFrom("read", "create", "update", "delete");
const half = (some: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 4, arbitrary: some }, { weight: 1, arbitrary: fc.constant("*") });
const name = fc.string({ unit: fc.constantFrom("a", "b", "-"), minLength: 1, maxLength: 4 });
const pattern = fc.string({ unit: fc.constantFrom("a", "b", "-", "*"), minLength: 1, maxLength: 4 });
const patterns = fc.array(pattern, { maxLength: 3 });
const role = fc.record({
  permissions: fc.array(
    fc.tuple(half(resource), half(verb)).map((each) => each.join(":")),
    { maxLength: 4 },
  ),
  bindings: fc.record({ farms: patterns, interfaces: patterns, certificates: patterns }, { requiredKeys: [] }),
});
const grants = fc.array(role, { maxLength: 3 }).map((roles) => roles.flatMap(compileRole));
const wanted = fc.tuple(resource, verb).map((each) => each.join(":") as Permission);
const scope: fc.Arbitrary<Scope> = fc.oneof(
  fc.constant("every" as const),
  fc.constant("some" as const),
  name.map((each) => ({ name: each })),
);

const holds = (property: fc.IProperty<never> | fc.IRawProperty<unknown>) =>
  fc.assert(property as never, { numRuns: 2000 });

t.test("nothing granted, nothing allowed", async () => {
  holds(fc.property(wanted, scope, (permission, on) => !isGranted([], permission, on)));
});

t.test("another role never takes a permission away", async () => {
  holds(
    fc.property(grants, grants, wanted, scope, (one, other, permission, on) => {
      return !isGranted(one, permission, on) || isGranted([...one, ...other], permission, on);
    }),
  );
});

t.test("the order of roles does not matter", async () => {
  holds(
    fc.property(grants, wanted, scope, (each, permission, on) => {
      return isGranted(each, permission, on) === isGranted([...each].reverse(), permission, on);
    }),
  );
});

t.test("*:* without a binding covers everything, a wildcard whatever it stands for", async () => {
  holds(fc.property(wanted, scope, (permission, on) => isGranted(everything, permission, on)));
  holds(
    fc.property(wanted, scope, (permission, on) => {
      const [left, right] = permission.split(":");
      return [`${left}:*`, `*:${right}`].every((each) =>
        isGranted(compileRole({ permissions: [each] }), permission, on),
      );
    }),
  );
});

t.test("what is allowed on every object is allowed on each, and what on one, on some", async () => {
  holds(
    fc.property(grants, wanted, name, (each, permission, object) => {
      const [every, one, some] = (["every", { name: object }, "some"] as const).map((on) =>
        isGranted(each, permission, on),
      );
      return (!every || one) && (!one || some);
    }),
  );
});

t.test("a binding never allows more than the role without it, nor on an object that it does not name", async () => {
  holds(
    fc.property(role, wanted, scope, ({ permissions, bindings }, permission, on) => {
      return (
        !isGranted(compileRole({ permissions, bindings }), permission, on) ||
        isGranted(compileRole({ permissions }), permission, on)
      );
    }),
  );
  holds(
    fc.property(role, verb, name, ({ permissions, bindings }, how, farm) => {
      const named = bindings.farms?.some((each) => matchesPattern(each, farm)) ?? true;
      return named || !isGranted(compileRole({ permissions, bindings }), `farms:${how}`, { name: farm });
    }),
  );
});

t.test("a bound role of wildcards reaches no other kind: not users, not the system", async () => {
  holds(
    fc.property(patterns, half(verb), verb, scope, (farms, how, asked, on) => {
      const each = compileRole({ permissions: [`*:${how}`], bindings: { farms } });
      return (["access", "system", "network"] as const).every((other) => !isGranted(each, `${other}:${asked}`, on));
    }),
  );
});

t.test("who may hand rights on has them: whatever the given ones allow, the giver may do", async (t) => {
  let given = 0;
  holds(
    fc.property(grants, grants, wanted, scope, (wide, narrow, permission, on) => {
      if (!grantsCover(wide, narrow)) return true;
      given += 1;
      return !isGranted(narrow, permission, on) || isGranted(wide, permission, on);
    }),
  );
  t.ok(given > 100, `${given} of them were covered`);
  holds(fc.property(grants, (each) => grantsCover(each, each)));
});

t.test("an API key may do what both its roles and its owner may, and hands on no more", async () => {
  holds(
    fc.property(grants, grants, wanted, scope, (own, ceiling, permission, on) => {
      const both = isGranted(own, permission, on) && isGranted(ceiling, permission, on);
      return isPermitted({ grants: own, ceiling }, permission, on) === both;
    }),
  );
  holds(
    fc.property(grants, grants, grants, (own, ceiling, given: Grant[]) => {
      return !mayGrant({ grants: own, ceiling }, given) || (grantsCover(own, given) && grantsCover(ceiling, given));
    }),
  );
});

t.test("a pattern that covers another matches whatever that matches", async () => {
  holds(
    fc.property(pattern, pattern, name, (wide, narrow, each) => {
      return !(patternCovers(wide, narrow) && matchesPattern(narrow, each)) || matchesPattern(wide, each);
    }),
  );
  const asExpression = (each: string) => new RegExp(`^${each.replaceAll("*", ".*")}$`);
  holds(fc.property(pattern, name, (each, text) => matchesPattern(each, text) === asExpression(each).test(text)));
});
