import { makeInterceptor, type ReferenceDocument, withoutPrefilledFields } from "./browser.ts";

/** The script of the page, bundled for browsers: shows /api/v1/openapi.json with Swagger UI, which has been loaded before it. */

declare const SwaggerUIBundle: (options: object) => unknown;

const answer = await fetch("/api/v1/openapi.json");
const document = (await answer.json()) as ReferenceDocument;

SwaggerUIBundle({
  spec: withoutPrefilledFields(document),
  dom_id: "#reference",
  deepLinking: true,
  // Hundreds of operations and schemas: only what is opened is drawn.
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  filter: true,
  displayRequestDuration: true,
  // The badge of a validator on another host.
  validatorUrl: null,
  requestInterceptor: makeInterceptor(fetch),
});
