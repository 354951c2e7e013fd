import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";

/** The description of the API, OpenAPI 3.1, made from the schemas that check the requests. */

type Override = NonNullable<z.core.ToJSONSchemaParams["override"]>;

/**
 * A transformed text (an address brought into its canonical spelling) is still a text, which zod cannot know; and what it
 * cannot describe it leaves empty, which in a union would mean "anything".
 */
const describeTransforms: Override = ({ zodSchema, jsonSchema }) => {
  const { def } = zodSchema._zod;
  if (def.type === "pipe" && Object.keys(jsonSchema).every((key) => key === "examples" || key === "description")) {
    const { $schema: _, ...input } = z.toJSONSchema(def.in, { io: "input", unrepresentable: "any" });
    if (input.type === "string") Object.assign(jsonSchema, input);
  }
  if (def.type === "union" && jsonSchema.anyOf) {
    jsonSchema.anyOf = jsonSchema.anyOf.filter((each) => Object.keys(each).length > 0);
  }
  // zod leaves these out of anything that transforms, since they might be of the other side; ours are good on both.
  const { examples } = z.globalRegistry.get(zodSchema as unknown as z.ZodType) ?? {};
  if (examples !== undefined && !jsonSchema.$ref) jsonSchema.examples ??= examples as never[];
  if (def.type === "default") jsonSchema.default ??= (def as z.core.$ZodDefaultDef).defaultValue as never;
  // Every z.int() would carry the bounds of a safe integer.
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
};

const zodToJsonConfig = { override: describeTransforms };

/** Collects the routes registered after it, and serves them at /api/v1/openapi.json to anyone. */
export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Steelyard",
        description: "The management API of a Steelyard appliance.",
        version,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: "/", description: "This appliance" }],
      components: {
        securitySchemes: {
          session: { type: "http", scheme: "bearer", description: "The token of POST /api/v1/sessions" },
        },
      },
      security: [{ session: [] }],
      tags: ["Sessions", "Farms", "Network", "System", "Configuration"].map((name) => ({ name })),
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: createJsonSchemaTransformObject({ zodToJsonConfig }),
  });
}

export function addOpenApiRoute(app: FastifyInstance): void {
  let document: object | undefined;
  app.get("/api/v1/openapi.json", {
    config: { permission: "public" },
    schema: {
      operationId: "getOpenApi",
      tags: ["System"],
      summary: "This description",
      security: [],
      response: { 200: z.looseObject({}).describe("An OpenAPI 3.1 document") },
    },
    handler: async () => {
      document ??= withoutUnusedSchemas(app.swagger() as Document);
      return document;
    },
  });
}

type Document = { components?: { schemas?: Record<string, unknown> } };

/** Every schema is there for requests and for answers; most are of use in one of the two. */
function withoutUnusedSchemas(document: Document): Document {
  const all = document.components?.schemas ?? {};
  const used = new Set<string>();
  const collect = (part: unknown) => {
    for (const [, name = ""] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      collect(all[name] ?? {});
    }
  };
  collect({ ...document, components: {} });
  const schemas = Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name)));
  return { ...document, components: { ...document.components, schemas } };
}
