import t from "tap";
import { setUpServer } from "./testing.ts";

type Operation = {
  operationId: string;
  tags: string[];
  summary: string;
  parameters?: { in: string; name: string }[];
  security?: object[];
};
type Document = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
};

t.test("the OpenAPI document holds every route", async (t) => {
  const { https } = await setUpServer(t);
  const response = await https.inject("/api/v1/openapi.json");
  t.equal(response.statusCode, 200, "without logging in");
  const document: Document = response.json();
  t.match(document, { openapi: "3.1.0", info: { title: "Steelyard", version: "0.0.0" } });
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const routes = https.knownRoutes.filter(({ method }) => method !== "HEAD");
  t.same(
    operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort(),
    routes.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, "{$1}")}`).sort(),
  );
  const ids = operations.map(({ operation }) => operation.operationId);
  t.equal(new Set(ids).size, ids.length, "operation ids are unique");
  for (const { path, method, operation } of operations) {
    t.match(operation, { summary: String, tags: [String], operationId: String }, `${method} ${path}`);
    const declared = (operation.parameters ?? []).filter((each) => each.in === "path").map(({ name }) => name);
    t.same(declared.sort(), [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort());
    const route = routes.find(
      ({ url, method: verb }) => url.replace(/:(\w+)/g, "{$1}") === path && verb === method.toUpperCase(),
    );
    t.equal(operation.security?.length === 0, route?.permission === "public", `${method} ${path} needs a login or not`);
  }
});

t.test(
  "the OpenAPI document is whole: schemas it refers to are there, with examples and the meaning of fields",
  async (t) => {
    const { server } = await setUpServer(t);
    const document: Document = (await server.local.inject("/api/v1/openapi.json")).json();
    const { schemas } = document.components;
    const used = new Set(
      [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name),
    );
    t.same([...used].sort(), Object.keys(schemas).sort(), "none is missing, none is idle");
    t.match(schemas.L4Farm, {
      properties: { ports: { items: { type: "string" } }, natType: { description: /backends see/ } },
    });
    t.match(document.paths["/api/v1/farms"]?.post, {
      requestBody: {
        content: {
          "application/json": { example: { name: "web" }, schema: { $ref: "#/components/schemas/NamedFarmInput" } },
        },
      },
    });
    t.match(schemas.NamedFarmInput, { oneOf: [{ required: ["name", "profile", "virtualAddresses", "ports"] }] });
    const answers = Object.entries(schemas).filter(([name]) => !name.endsWith("Input"));
    t.notMatch(JSON.stringify(answers), /passwordHash/, "no answer has a place for a secret");
    t.notMatch(JSON.stringify(document), /9007199254740991/);
  },
);
