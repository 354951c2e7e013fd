import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { SteelyardError } from "../errors.ts";

/** Requests whose body is a file and not JSON. */

/** Takes bodies of these media types as bytes. In a scope of its own, so that no other route takes them. */
export function acceptBinaryBodies(scope: FastifyInstance, types: string[]): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(types, { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  scope.addContentTypeParser("*", (_request, _body, done) =>
    done(new SteelyardError("unsupported-type", `expected ${types.join(" or ")}`)),
  );
}

/** The schema of such a body. The parser gives bytes; a text is how JSON, and so OpenAPI's example, shows them. */
export function binaryBody(type: string, description: string) {
  const isFile = (body: unknown) => (Buffer.isBuffer(body) || typeof body === "string") && body.length > 0;
  return z
    .custom<Buffer>(isFile, `expected a file in the body: ${description}`)
    .meta({ type: "string", contentMediaType: type, description, examples: ["(the bytes of the file)"] });
}
