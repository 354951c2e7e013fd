import t from "tap";
import { farm } from "../configuration/schema.ts";
import { matchesPattern } from "./list.ts";
import { fieldsOf, valuesOf } from "./list-fields.ts";
import { setUpServer } from "./testing.ts";

t.test("the fields of a list follow from the schema of its items", async (t) => {
  const fields = fieldsOf(farm);
  t.match(Object.fromEntries([...fields].map(([name, { kind }]) => [name, kind])), {
    profile: "text",
    enabled: "boolean",
    virtualAddresses: "text",
    backends: "text",
    "backends.address": "text",
    "backends.weight": "number",
  });
  const item = { virtualAddresses: ["192.0.2.1", "192.0.2.2"], backends: { b1: { weight: 2 }, b2: { weight: 7 } } };
  const values = (name: string) => valuesOf(item, fields.get(name)?.steps ?? []);
  t.same(values("virtualAddresses"), ["192.0.2.1", "192.0.2.2"]);
  t.same(values("backends"), ["b1", "b2"]);
  t.same(values("backends.weight"), [2, 7]);
  t.same(values("enabled"), []);
});

t.test("a pattern is matched without surprises", async (t) => {
  for (const [pattern, value, expected] of [
    ["web", "web", true],
    ["web", "web1", false],
    ["web*", "web", true],
    ["*b*1", "web-1", true],
    ["*1*1", "1", false],
    ["a*a", "a", false],
    ["**", "", true],
    ["w.b", "web", false],
  ] as const)
    t.equal(matchesPattern(pattern, value), expected, `${pattern} ${value}`);
});

t.test("lists are filtered, sorted, cut to fields and put on pages", async (t) => {
  const { server } = await setUpServer(t);
  const api = server.local;
  const get = async (query: string) => {
    const response = await api.inject(`/api/v1/farms?${query}`);
    return { status: response.statusCode, link: response.headers.link, body: response.json() };
  };
  const names = async (query: string) => (await get(query)).body.items.map(({ name }: { name: string }) => name);
  for (const [name, rest] of Object.entries({
    web2: { ports: [80], backends: { b1: { address: "198.51.100.1", weight: 3 } } },
    web10: { ports: [80, "8000-8010"], enabled: false, backends: { b1: { address: "198.51.100.2", weight: 9 } } },
    dns: { ports: [53], protocol: "udp", virtualAddresses: ["192.0.2.53"] },
  }))
    await api.inject({
      method: "POST",
      url: "/api/v1/farms",
      payload: { name, profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ...rest },
    });

  t.same(await names(""), ["dns", "web2", "web10"], "by name, as people count");
  t.same(await names("name=web*"), ["web2", "web10"]);
  t.same(await names("name=dns&name=web2"), ["dns", "web2"], "one of several");
  t.same(await names("enabled=false"), ["web10"]);
  t.same(await names("enabled=true&protocol=udp"), ["dns"], "all of several fields");
  t.same(await names("virtualAddresses=192.0.2.10"), ["web2", "web10"], "any member of a list");
  t.same(await names("ports=8000-*"), ["web10"]);
  t.same(await names("backends.address=198.51.100.2"), ["web10"], "which farm uses this server?");
  t.same(await names("backends.weight=2..5"), ["web2"]);
  t.same(await names("backends.weight=4.."), ["web10"]);
  t.same(await names("backends=b1"), ["web2", "web10"]);
  t.same(await names("sort=-name"), ["web10", "web2", "dns"]);
  t.same(await names("sort=-enabled,protocol,-name"), ["web2", "dns", "web10"]);
  t.same(await names("sort=backends.weight"), ["web2", "web10", "dns"], "those without the field come last");

  t.same((await get("fields=name,enabled&name=dns")).body, { items: [{ name: "dns", enabled: true }], total: 1 });

  t.equal((await get("")).link, undefined, "one page needs no links");
  const middle = await get("limit=1&offset=1&sort=-name");
  t.match(middle.body, { total: 3, items: [{ name: "web2" }] });
  t.same(
    [...(middle.link as string).matchAll(/<([^>]+)>; rel="(\w+)"/g)].map(([, url, relation]) => [relation, url]),
    [
      ["first", "/api/v1/farms?limit=1&offset=0&sort=-name"],
      ["prev", "/api/v1/farms?limit=1&offset=0&sort=-name"],
      ["next", "/api/v1/farms?limit=1&offset=2&sort=-name"],
      ["last", "/api/v1/farms?limit=1&offset=2&sort=-name"],
    ],
  );
  t.match((await get("offset=50")).body, { items: [], total: 3 });
  t.match((await get("offset=50")).link, /offset=0>; rel="prev"/);
});

t.test("a question that makes no sense is answered with what would", async (t) => {
  const { server } = await setUpServer(t);
  const problems = async (query: string) => {
    const response = await server.local.inject(`/api/v1/farms?${query}`);
    return [response.statusCode, ...(response.json().problems ?? []).map(Object.values)];
  };
  t.match(await problems("color=red"), [
    400,
    ["color", /^there is no such filter: expected one of limit, .*backends.address/],
  ]);
  t.match(await problems("sort=color"), [400, ["sort", /^there is no field color: expected .*enabled/]]);
  t.match(await problems("fields=-name"), [400, ["fields", /no field -name/]]);
  t.same(await problems("enabled=maybe"), [400, ["enabled", "expected true or false"]]);
  t.match(await problems("backends.weight=much"), [400, ["backends.weight", /^expected a number or a range/]]);
  t.match(await problems("limit=0"), [400, ["limit", /from 1 to 1000/]]);
  t.match(await problems("offset=-1"), [400, ["offset"]]);
  t.match(await problems("__proto__=x&constructor=y"), [400]);
});
