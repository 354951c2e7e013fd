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
  app.get("/api/v1/openapi.json", {
    config: { permission: "public" },
    schema: { hide: true },
    handler: async () => app.swagger(),
  });
}
