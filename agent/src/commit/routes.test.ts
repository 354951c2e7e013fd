import t from "tap";
import { password, setUpServer } from "../api/testing.ts";

const farm = { name: "web", profile: "l4xnat", virtualAddresses: ["192.0.2.1"], ports: ["80"] };
const pending = "/api/v1/configuration/pending";

t.test("a change is confirmed or taken back over the API", async (t) => {
  const { server, control } = await setUpServer(t);
  const send = (method: "GET" | "POST" | "DELETE", url: string, payload?: object) =>
    server.local.inject({ method, url, ...(payload ? { payload } : {}) });
  t.equal((await send("GET", pending)).statusCode, 404);
  const created = await send("POST", "/api/v1/farms?confirmWithin=5", farm);
  t.equal(created.statusCode, 201);
  t.equal(Number.isNaN(Date.parse(String(created.headers["steelyard-confirm-before"]))), false);
  t.match((await send("GET", pending)).json(), { generation: 2, parent: 1, author: "admin", message: /web/ });
  const refused = await send("DELETE", "/api/v1/farms/web");
  t.match(refused.json(), { status: 409, code: "awaiting-confirmation", detail: /generation 2 by admin/ });
  t.equal((await send("POST", "/api/v1/configuration/confirm", { generation: 1 })).statusCode, 412);
  t.match((await send("POST", "/api/v1/configuration/confirm", {})).json(), { generation: 2 });
  t.equal((await send("POST", "/api/v1/configuration/confirm", {})).statusCode, 404);

  t.equal((await send("DELETE", "/api/v1/farms/web?confirmWithin=1")).statusCode, 204);
  t.match((await send("POST", `${pending}/revert`)).json(), { generation: 4, warnings: [], confirmWithin: 0 });
  t.ok(control.current().configuration.farms.web, "it is back");
  t.match((await send("POST", "/api/v1/configuration/rollback?confirmWithin=9", { generation: 1 })).json(), {
    pending: { generation: 5 },
  });
  t.match((await send("DELETE", "/api/v1/farms/web?confirmWithin=-1")).json(), {
    code: "bad-input",
    problems: [{ path: "confirmWithin" }],
  });
});

t.test("a change that can cut off whoever made it has to be confirmed, over HTTPS alone", async (t) => {
  const { https, server, control } = await setUpServer(t);
  const login = await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user: "admin", password } });
  const headers = { authorization: `Bearer ${login.json().token}` };
  const patch = (url: string, payload: object) => https.inject({ method: "PATCH", url, headers, payload });
  const port = (number: number) => ({ management: { port: number } });
  const plan = (await patch("/api/v1/system?dryRun=true", port(8444))).json();
  t.match(plan, { confirmWithin: 5, reasons: [/which port/] }, "a dry run tells it beforehand");
  t.ok((await patch("/api/v1/system", port(8444))).headers["steelyard-confirm-before"]);
  t.equal((await patch("/api/v1/system?confirmWithin=0", port(8445))).statusCode, 409);
  await control.confirm({ user: "admin", source: "local" });
  t.equal(
    (await patch("/api/v1/system?confirmWithin=0", port(8445))).headers["steelyard-confirm-before"],
    undefined,
    "it can be waived",
  );
  const local = await server.local.inject({ method: "PATCH", url: "/api/v1/system", payload: port(8446) });
  t.equal(local.headers["steelyard-confirm-before"], undefined, "nobody is cut off from the local socket");
});
