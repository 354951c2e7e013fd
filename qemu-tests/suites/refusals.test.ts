import { ask, makeFarm } from "../src/box/farms.ts";
import { currentGeneration, fingerprintState } from "../src/box/state.ts";
import { virtualAddresses } from "../src/lab/plan.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";

const farm = makeFarm();

type BadRequest = {
  what: string;
  method?: string;
  path?: string;
  body?: unknown;
  rawBody?: string;
  /** The field the answer must name; left out where the request is no object at all. */
  field?: RegExp;
  status: number | number[];
};

const b1 = (fields: object) => ({ ...farm, name: "bad", backends: { b1: { address: "10.20.0.11", ...fields } } });

/** Input that must change nothing. Each would be plausible from a script with a mistake in it, or from an attacker. */
const badRequests: readonly BadRequest[] = [
  { what: "no JSON", rawBody: "{farm:", status: 400 },
  { what: "an array", body: [farm], status: 400 },
  { what: "no name", body: farm, field: /name/, status: 400 },
  { what: "a name for nft to run", body: { ...farm, name: "a;flush ruleset" }, field: /name/, status: 400 },
  { what: "a path as a name", body: { ...farm, name: "../users/admin" }, field: /name/, status: 400 },
  { what: "no address", body: { ...farm, name: "bad", virtualAddresses: [] }, field: /virtualAddresses/, status: 400 },
  {
    what: "an address of three parts",
    body: { ...farm, name: "bad", virtualAddresses: ["10.10.1"] },
    field: /virtualAddresses/,
    status: 400,
  },
  {
    what: "an octal address",
    body: { ...farm, name: "bad", virtualAddresses: ["010.10.0.10"] },
    field: /virtualAddresses/,
    status: 400,
  },
  {
    what: "an address the box has not",
    body: { ...farm, name: "bad", virtualAddresses: ["10.99.0.1"] },
    field: /virtualAddresses/,
    status: 422,
  },
  { what: "port 0", body: { ...farm, name: "bad", ports: ["0"] }, field: /ports/, status: 400 },
  { what: "port 65536", body: { ...farm, name: "bad", ports: ["65536"] }, field: /ports/, status: 400 },
  { what: "a range backwards", body: { ...farm, name: "bad", ports: ["90-80"] }, field: /ports/, status: 400 },
  { what: "an unknown protocol", body: { ...farm, name: "bad", protocol: "sctp" }, field: /protocol/, status: 400 },
  { what: "an unknown field", body: { ...farm, name: "bad", colour: "red" }, status: 400 },
  { what: "weight 0", body: b1({ weight: 0 }), field: /b1\.weight/, status: 400 },
  { what: "half a weight", body: b1({ weight: 1.5 }), field: /b1\.weight/, status: 400 },
  { what: "an unknown state", body: b1({ state: "drain" }), field: /b1\.state/, status: 400 },
  { what: "a backend of the other family", body: b1({ address: "fd20::11" }), field: /b1\.address/, status: 422 },
  { what: "ports of another farm", body: { ...farm, name: "bad" }, field: /farms\./, status: 422 },
  {
    what: "the management port",
    body: { ...farm, name: "bad", virtualAddresses: ["10.10.0.1"], ports: ["444"] },
    field: /ports/,
    status: 422,
  },
  { what: "a name that is taken", body: { ...farm, name: "kept" }, status: 409 },
  {
    what: "a change of what is not there",
    method: "PATCH",
    path: "/farms/none",
    body: { enabled: false },
    status: 404,
  },
  {
    what: "a change to nonsense",
    method: "PATCH",
    path: "/farms/kept",
    body: { ports: "eighty" },
    field: /ports/,
    status: 400,
  },
  {
    what: "a virtual address in use taken away",
    method: "DELETE",
    path: "/network/virtual-addresses/web",
    status: 422,
  },
  {
    what: "an interface with a bad address",
    method: "PATCH",
    path: "/network/interfaces/nic1",
    body: { ipv4: { addresses: ["10.20.0.999/24"] } },
    field: /ipv4/,
    status: 400,
  },
  {
    what: "a host name with a space",
    method: "PATCH",
    path: "/system",
    body: { hostname: "a b" },
    field: /hostname/,
    status: 400,
  },
];

/** What the box refuses changes nothing: neither its configuration nor the kernel's rules. */
export const refusals: Suite = {
  name: "refusals",
  machine: "bios",
  run: async (context) => {
    const { box } = context;
    await box.api.expect(201, "POST", "/farms", { body: { name: "kept", ...farm } });
    await checkBadInput(context);
    await checkStaleness(context);
    await checkDryRun(context);
    await checkRollback(context);
    await box.api.expect(204, "DELETE", "/farms/kept");
  },
};

async function checkBadInput({ box, check }: SuiteContext): Promise<void> {
  await check(`bad input changes nothing (${badRequests.length} kinds)`, async (t) => {
    const before = await fingerprintState(box);
    for (const { what, method = "POST", path = "/farms", field, status, ...content } of badRequests) {
      const answer = await box.api.send(method, path, content);
      t.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
      const problem = answer.body as { code?: string; problems?: { path: string; message: string }[] };
      t.type(problem?.code, "string", `${what}: the answer has a code`);
      if (field === undefined) continue;
      const paths = (problem?.problems ?? []).map((each) => each.path);
      t.ok(
        paths.some((each) => field.test(each)),
        `${what}: names the field: ${paths.join(", ")}`,
      );
    }
    t.same(await fingerprintState(box), before, "generation and rules are what they were");
    t.match(await ask({}, 10, box.machine.scale(2_000)), { counts: { b1: 5, b2: 5 }, errors: [] });
  });
}

async function checkStaleness({ box, check }: SuiteContext): Promise<void> {
  await check("a change made from an old state is refused with 412", async (t) => {
    const { etag } = await box.api.expect(200, "GET", "/farms/kept");
    t.type(etag, "string");
    await box.api.expect(200, "PATCH", "/farms/kept", { body: { description: "first" }, ifMatch: etag ?? "" });
    const before = await fingerprintState(box);
    for (const [method, body] of [
      ["PATCH", { description: "second" }],
      ["PUT", { ...farm }],
      ["DELETE", undefined],
    ] as const) {
      const { status } = await box.api.send(method, "/farms/kept", { body, ifMatch: etag ?? "" });
      t.equal(status, 412, method);
    }
    t.match(await box.api.get("/farms/{farm}", { path: { farm: "kept" } }), { description: "first" });
    t.same(await fingerprintState(box), before);
  });
}

async function checkDryRun({ box, check }: SuiteContext): Promise<void> {
  await check("a dry run tells the plan and changes nothing", async (t) => {
    const before = await fingerprintState(box);
    const { body } = await box.api.expect(200, "DELETE", "/farms/kept?dryRun=true");
    t.ok((body as { steps: unknown[] }).steps.length > 0, JSON.stringify(body));
    t.same(await fingerprintState(box), before);
  });
}

async function checkRollback({ box, check }: SuiteContext): Promise<void> {
  await check("rollback brings back an old generation, in the kernel too", async (t) => {
    const timeout = box.machine.scale(2_000);
    const old = await currentGeneration(box);
    await box.api.expect(200, "PATCH", "/farms/kept/backends/b1", { body: { state: "maintenance" } });
    const second = { address: virtualAddresses.secondIpv4 };
    await box.api.expect(201, "POST", "/farms", { body: { name: "mistake", ...makeFarm(second) } });
    t.match(await ask({}, 6, timeout), { counts: { b2: 6 }, errors: [] });
    const { body } = await box.api.expect(200, "GET", `/configuration/diff?from=${old}`);
    t.match(
      (body as { differences: { object: string }[] }).differences.map(({ object }) => object).sort(),
      ["farms/kept", "farms/mistake"],
      "the difference names both objects",
    );
    const { generation } = await box.api.expect(200, "POST", "/configuration/rollback", { body: { generation: old } });
    t.equal(generation, old + 3, "rolling back is a change like any other");
    t.equal((await box.api.send("GET", "/farms/mistake")).status, 404);
    t.match(await ask({}, 6, timeout), { counts: { b1: 3, b2: 3 }, errors: [] });
    const lost = await ask(second, 1, 1_500);
    t.equal(lost.errors.length, 1, "the port of the mistake is closed");
  });
}
