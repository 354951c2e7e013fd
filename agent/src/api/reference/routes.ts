import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { SteelyardError } from "../../errors.ts";
import type { Routes } from "../context.ts";
import { isReferenceFile, makeReferenceReader, type ReferenceFile, referenceFiles } from "./files.ts";
import { referencePolicy, renderReferencePage } from "./page.ts";

const url = "/api/v1/reference";
const tags = ["System"];
/** Seconds. */
const forAYear = "public, max-age=31536000, immutable";

const text = (example: string) => ({ schema: z.string().meta({ examples: [example] }) });

/** The reference of the API as a page to read and to try: public, as the description it is made from. */
export const addReferenceRoutes: Routes = (app, { machine }) => {
  const reader = makeReferenceReader(machine);

  app.get(url, {
    config: { permission: "public", errors: ["not-found"] },
    schema: {
      operationId: "getReference",
      tags,
      summary: "The reference of the API, for a browser",
      description:
        "A page made from `/api/v1/openapi.json`, where every request can be tried. It loads nothing from anywhere else. Log in there with `POST /api/v1/sessions` and `cookie: true`, or give a token or an API key to Authorize.",
      security: [],
      ...{ "x-command": "none" },
      response: { 200: { description: "The page", content: { "text/html": text("<!doctype html>") } } },
    },
    handler: async (_request, reply) => {
      const names = Object.keys(referenceFiles) as ReferenceFile[];
      const addresses = await Promise.all(
        names.map(async (name) => [name, `${url}/${name}?v=${await reader.hashOf(name)}`]),
      );
      return reply
        .type("text/html; charset=utf-8")
        .header("Content-Security-Policy", referencePolicy)
        .send(renderReferencePage(Object.fromEntries(addresses)));
    },
  });

  app.get(`${url}/:file`, {
    config: { permission: "public", entityTag: true },
    schema: {
      operationId: "getReferenceFile",
      tags,
      summary: "A file of the reference's page",
      description: `One of ${Object.keys(referenceFiles).join(", ")}. The page names each with the hash of its content, so that a browser keeps it until the content is another.`,
      security: [],
      ...{ "x-command": "none" },
      params: z.object({
        file: z
          .string()
          .describe("Name of the file")
          .meta({ examples: ["start.js"] }),
      }),
      querystring: z.object({
        v: z.string().max(64, "expected the hash that the page has").optional().describe("The hash of the content"),
      }),
      response: {
        200: {
          description: "The file",
          content: { "text/css": text("body { margin: 0 }"), "text/javascript": text("SwaggerUIBundle({});") },
        },
      },
    },
    handler: (request, reply) => sendFile(request as FastifyRequest, reply as FastifyReply),
  });

  async function sendFile({ params, query, headers }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { file } = params as { file: string };
    if (!isReferenceFile(file)) throw new SteelyardError("not-found", `the reference has no file ${file}`);
    const hash = await reader.hashOf(file);
    const compressed = takesGzip(String(headers["accept-encoding"] ?? ""));
    const tag = `"${hash}${compressed ? "-gzip" : ""}"`;
    reply
      .headers({ ETag: tag, Vary: "Accept-Encoding" })
      .header("Cache-Control", (query as { v?: string }).v === hash ? forAYear : "no-cache");
    const known = String(headers["if-none-match"] ?? "").split(",");
    if (known.some((each) => ["*", tag].includes(each.trim().replace(/^W\//, "")))) return reply.code(304).send();
    const { size, stream } = await reader.open(file, compressed);
    if (compressed) reply.header("Content-Encoding", "gzip");
    return reply.type(referenceFiles[file]).header("Content-Length", size).send(stream);
  }
};

/** RFC 9110, 12.5.3: named, and not with the weight 0. */
function takesGzip(accepted: string): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accepted);
}
