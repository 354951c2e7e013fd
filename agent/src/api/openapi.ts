import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";
import { sendObject } from "./change.ts";
import { completeDocument, type Document } from "./openapi-document.ts";

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

/** What each group of operations is about, in the order of the reference. */
const tags = [
  { name: "Sessions", description: "Logging in and out" },
  { name: "Users", description: "Who may log in" },
  { name: "Groups", description: "Users who share roles" },
  { name: "Roles", description: "What users may do" },
  { name: "Directories", description: "LDAP and Active Directory servers that check passwords" },
  { name: "API keys", description: "Keys for programs" },
  { name: "Audit", description: "Who did what, and who was refused" },
  { name: "Farms", description: "Services that are balanced, their backends, and their state" },
  { name: "Network", description: "Interfaces, virtual addresses, and the links the machine has" },
  { name: "Routing", description: "Routing tables, rules and routes, and what the kernel has of them" },
  { name: "Uplinks", description: "Farms of uplinks: which connection takes which way to the world" },
  { name: "Certificates", description: "Certificates, their keys and requests" },
  { name: "System", description: "The box itself" },
  { name: "Configuration", description: "The whole configuration, its history, and going back" },
  { name: "Transactions", description: "Many changes in one commit" },
  { name: "Backups", description: "Taking the configuration and the keys away, and putting them back" },
  { name: "Import", description: "Configurations of other products" },
  { name: "Jobs", description: "Long operations: progress, log, result and cancelling" },
  { name: "Events", description: "What happens, as it happens" },
];

/** Collects the routes registered after it, and serves them at /api/v1/openapi.json to anyone. */
export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  const transform = createJsonSchemaTransform({ zodToJsonConfig });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Steelyard",
        description:
          "The management API of a Steelyard appliance: every object by noun and verb, every change checked, attributable and reversible.",
        version,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [
        { url: "/", description: "The appliance this description comes from" },
        {
          url: "https://{address}:{port}",
          description: "An appliance by its address",
          variables: {
            address: { default: "192.0.2.5", description: "Management address or name of the box" },
            port: { default: "444", description: "system.management.port" },
          },
        },
      ],
      components: {
        securitySchemes: {
          session: { type: "http", scheme: "bearer", description: "The token of POST /api/v1/sessions" },
        },
      },
      security: [{ session: [] }],
      tags,
    },
    transform: (input) => {
      const { schema, url } = transform(input);
      const { permission, errors, entityTag } = input.route?.config ?? {};
      const extensions = {
        "x-permission": permission,
        "x-errors": errors,
        "x-entity-tag": entityTag,
        "x-body-example": exampleOfBody(input.schema?.body),
      };
      const given = Object.fromEntries(Object.entries(extensions).filter(([, value]) => value !== undefined));
      return { schema: { ...schema, ...given } as typeof schema, url };
    },
    transformObject: createJsonSchemaTransformObject({ zodToJsonConfig }),
  });
}

/** Of this route: where many share a schema by its name, such as that of merge patches, each has an example of its own. */
function exampleOfBody(body: unknown): unknown {
  if (!(body instanceof z.ZodType)) return undefined;
  const { examples } = z.globalRegistry.get(body) ?? {};
  return Array.isArray(examples) ? examples[0] : undefined;
}

export function addOpenApiRoute(app: FastifyInstance): void {
  let document: object | undefined;
  app.get("/api/v1/openapi.json", {
    config: { permission: "public", entityTag: true },
    schema: {
      operationId: "getOpenApi",
      tags: ["System"],
      summary: "Read this description",
      description: "OpenAPI 3.1, made from the schemas that check the requests.",
      security: [],
      response: {
        200: z
          .looseObject({})
          .describe("An OpenAPI 3.1 document")
          .meta({ examples: [{ openapi: "3.1.0" }] }),
      },
    },
    handler: async (request, reply) => {
      document ??= completeDocument(app.swagger() as unknown as Document);
      return sendObject(request, reply, document, document);
    },
  });
}
