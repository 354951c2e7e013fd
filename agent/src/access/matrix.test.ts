import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { setUpServer } from "../api/testing.ts";
import { emptyConfiguration, farm } from "../configuration/schema.ts";
import { networkInterface, virtualAddress } from "../network/schema.ts";
import { hashPassword } from "./password.ts";
import { builtInRoles } from "./roles.ts";
import { group, role, user } from "./schema.ts";

/**
 * Who may send which request: every route, sent as nobody, as each built-in role and as a role bound to one farm, must be
 * allowed or refused as docs/permissions.md says. A route without a row there fails; the message has the row to add, or run
 * `WRITE_PERMISSIONS=1 npx tap agent/src/access/matrix.test.ts` and read the difference as a reviewer would.
 */

const page = join(dirname(fileURLToPath(import.meta.url)), "../../../docs/permissions.md");
const columns = ["nobody", ...Object.keys(builtInRoles), "own farm", "other farm"] as const;

/** The two last columns are one role, sent to the farm it is bound to and to another. */
const shop = role.parse({ permissions: ["farms:*", "configuration:read"], bindings: { farms: ["shop*"] } });

type Row = { permission: string; cells: string[] };

function readTable(): Map<string, Row> {
  const rows = readFileSync(page, "utf8")
    .split("\n")
    .filter((line) => /^\| `[A-Z]+ \//.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return new Map(
    rows.map(([, request = "", permission = "", ...cells]) => [
      request.replaceAll("`", ""),
      { permission: permission.replaceAll("`", ""), cells: cells.slice(0, columns.length) },
    ]),
  );
}

/** Rows by the address, then the method, so that what belongs together stands together. */
function byAddress([one]: [string, string], [other]: [string, string]): number {
  const key = (line: string) => line.split(" ").reverse().join(" ");
  return key(one) < key(other) ? -1 : 1;
}

/** Puts what the routes really answer in place of the table: what changed is then for people to look at, in the diff. */
function writeTable(rows: string[]): void {
  const text = readFileSync(page, "utf8");
  const head = [`| request | permission | ${columns.join(" | ")} |`, `|---|---|${"---|".repeat(columns.length)}`];
  const before = text.slice(0, text.includes("\n| request") ? text.indexOf("\n| request") + 1 : text.length);
  writeFileSync(page, `${before}${[...head, ...rows].join("\n")}\n`);
}

const oneFarm = { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };
const backend = { address: "198.51.100.1", port: 80 };

/** What the parameters of an address stand for: objects that are there. */
const parameters: Record<string, string> = {
  backend: "b1",
  interface: "nic0",
  address: "vip",
  generation: "1",
  user: "target",
  group: "team",
  role: "mine",
  session: "0123456789abcdef",
  key: "k7mq2xwp",
};

/** Bodies for requests whose object is in the body, where an empty one would not tell who may. */
function bodyOf(line: string, farmName: string): object {
  if (line === "POST /farms") return { name: `${farmName}-2`, ...oneFarm };
  if (line === "POST /configuration/rollback") return { generation: 2 };
  return {};
}

t.test("every route answers every role as the table says, and what it refuses changes nothing", async (t) => {
  const { https, control, machine } = await setUpServer(t);
  const password = "correct horse battery";
  // Hundreds of logins: a hash that is cheap to check.
  const passwordHash = await hashPassword(password, machine.randomBytes, { logN: 1, r: 1, p: 1 });
  const as = (roles: string[]) => user.parse({ passwordHash, roles });
  const author = { user: "admin", source: "local" };
  const farms = {
    shop: farm.parse({ ...oneFarm, backends: { b1: backend } }),
    mail: farm.parse({ ...oneFarm, backends: { b1: backend } }),
  };
  const names = Object.keys(builtInRoles);
  const prepared = {
    ...emptyConfiguration(),
    farms,
    interfaces: { nic0: networkInterface.parse({}) },
    virtualAddresses: { vip: virtualAddress.parse({ interface: "nic0", address: "192.0.2.10/24" }) },
    roles: { shop, mine: role.parse({}) },
    groups: { team: group.parse({}) },
    users: {
      ...Object.fromEntries(names.map((name) => [`as-${name}`, as([name])])),
      bound: as(["shop"]),
      target: as([]),
      admin: as(["admin"]),
    },
  };
  await control.commit({ author, message: "prepare", change: () => prepared });
  const changed = {
    ...farms,
    mail: { ...farms.mail, description: "changed" },
    shop: { ...farms.shop, description: "changed" },
  };
  await control.commit({ author, message: "change the farms", change: (now) => ({ ...now, farms: changed }) });

  const opened = new Map<string, Record<string, string>>();
  const logIn = async (name: string): Promise<Record<string, string>> => {
    const known = opened.get(name);
    if (known) return known;
    const answer = await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user: name, password } });
    if (answer.statusCode !== 201) throw new Error(`${name} cannot log in: ${answer.body}`);
    const headers = { authorization: `Bearer ${answer.json().token}` };
    opened.set(name, headers);
    return headers;
  };

  /** `x` allowed, `-` refused for lack of permission, `401` for lack of a login. */
  const ask = async (method: string, pattern: string, column: (typeof columns)[number]): Promise<string> => {
    const farmName = column === "other farm" ? "mail" : "shop";
    const path = pattern.replace(/:(\w+)/g, (_all, key: string) =>
      key === "farm" ? farmName : (parameters[key] ?? "x"),
    );
    const bound = column === "own farm" || column === "other farm";
    const name = bound ? "bound" : `as-${column}`;
    const headers = column === "nobody" ? {} : await logIn(name);
    const before = control.current();
    const body = ["POST", "PUT", "PATCH"].includes(method)
      ? bodyOf(`${method} ${pattern.replace("/api/v1", "")}`, farmName)
      : undefined;
    const answer = await https.inject({
      method: method as "GET",
      url: method === "GET" || method === "HEAD" ? path : `${path}?dryRun=true`,
      headers,
      payloadAsStream: true,
      ...(body ? { payload: body } : {}),
    });
    answer.stream().destroy();
    const cell = { 401: "401", 403: "-" }[answer.statusCode] ?? "x";
    // Whatever knows dryRun has changed nothing either; the rest has had a body that it cannot take, or nothing to delete.
    if (cell !== "x" && control.current().generation !== before.generation)
      t.fail(`${method} ${path} as ${column} was refused and changed something`);
    // What was carried out may have ended the session.
    if (cell === "x" && method !== "GET" && method !== "HEAD") opened.delete(name);
    return cell;
  };

  const table = readTable();
  const seen = new Map<string, string>();
  let requests = 0;
  for (const { method, url, permission } of https.knownRoutes) {
    const line = `${method === "HEAD" ? "GET" : method} ${url.replace("/api/v1", "").replace(/:(\w+)/g, "{$1}")}`;
    const cells: string[] = [];
    for (const column of columns) {
      cells.push(await ask(method, url, column));
      requests += 1;
    }
    const row = table.get(line);
    const wanted = `| \`${line}\` | \`${permission}\` | ${cells.join(" | ")} |`;
    seen.set(line, wanted);
    const found = row && `| \`${line}\` | \`${row.permission}\` | ${row.cells.join(" | ")} |`;
    t.equal(found, wanted, `${method} ${url}`);
  }
  if (process.env.WRITE_PERMISSIONS === "1") writeTable([...seen].sort(byAddress).map(([, row]) => row));
  t.same(
    [...table.keys()].filter((line) => !seen.has(line)),
    [],
    "no row without a route",
  );
  t.comment(`the matrix: ${seen.size} operations x ${columns.length} callers, ${requests} requests sent`);
});
