/** What the page of the reference does in the browser, beside what Swagger UI does by itself. No part of the agent. */

type Parameter = { required?: boolean; example?: unknown; examples?: unknown; description?: string };
type Operation = { parameters?: Parameter[] };
export type ReferenceDocument = {
  paths: Record<string, Record<string, Operation>>;
  components: { parameters: Record<string, Parameter> };
};

/** A request that Swagger UI is about to send. */
export type Outgoing = { url: string; method?: string; headers: Record<string, string>; loadSpec?: boolean };

/**
 * Swagger UI fills the fields of a request with the examples of its parameters: an Idempotency-Key that was used before, the
 * ETag of another object, a filter that fits nothing. Of those that may stay empty the example goes into the description.
 */
export function withoutPrefilledFields(document: ReferenceDocument): ReferenceDocument {
  const ofOperations = Object.values(document.paths).flatMap((item) =>
    Object.values(item).flatMap(({ parameters = [] }) => parameters),
  );
  for (const each of [...Object.values(document.components.parameters), ...ofOperations]) {
    if (each.required || each.example === undefined) continue;
    each.description = `${each.description ?? ""} (such as \`${String(each.example)}\`)`.trim();
    delete each.example;
  }
  return document;
}

/**
 * Whoever has authorized with a token or an API key sends that. Else the browser sends the cookie of its session, and what
 * changes something needs the session's other token beside it, which is asked for once it is needed.
 */
export function makeInterceptor(ask: typeof fetch): (request: Outgoing) => Promise<Outgoing> {
  let csrfToken: string | undefined;
  return async (request) => {
    const reads = ["GET", "HEAD"].includes((request.method ?? "GET").toUpperCase());
    const named = Object.keys(request.headers).some((name) => name.toLowerCase() === "authorization");
    if (reads || named || request.loadSpec) return request;
    const logsIn = new URL(request.url, "https://box").pathname === "/api/v1/sessions";
    // Of the session that ends with this.
    if (logsIn) csrfToken = undefined;
    else csrfToken ??= await readCsrfToken(ask);
    if (csrfToken !== undefined) request.headers["X-CSRF-Token"] = csrfToken;
    return request;
  };
}

/** Undefined while nobody is logged in: then the request says so itself. */
async function readCsrfToken(ask: typeof fetch): Promise<string | undefined> {
  const answer = await ask("/api/v1/access/me");
  if (!answer.ok) return undefined;
  return ((await answer.json()) as { csrfToken?: string }).csrfToken;
}
