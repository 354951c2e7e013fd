import t from "tap";
import { configuration, emptyConfiguration } from "../configuration/schema.ts";
import { verifyAccess } from "./verify.ts";

const passwordHash = `$7$DU..../....${"a".repeat(32)}$${"b".repeat(43)}`;
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";
const admin = { passwordHash, roles: ["admin"] };

function verify(parts: { users?: unknown; groups?: unknown; roles?: unknown; access?: unknown }) {
  return verifyAccess(configuration.parse({ ...emptyConfiguration(), users: { admin }, ...parts }));
}

t.test("an administrator who can log in must remain", async (t) => {
  t.same(verify({}), []);
  t.same(verify({ users: { anna: { sshKeys: [key], roles: ["admin"] } } }), [], "whatever the name");
  t.same(
    verify({ users: { anna: { passwordHash, groups: ["chiefs"] } }, groups: { chiefs: { roles: ["admin"] } } }),
    [],
    "or by a group",
  );
  t.same(
    verify({ users: { anna: { passwordHash, roles: ["all"] } }, roles: { all: { permissions: ["*:*"] } } }),
    [],
    "or by a role of one's own",
  );
  for (const [why, user] of Object.entries({
    "without a role": { passwordHash },
    "of a lesser role": { passwordHash, roles: ["operator"] },
    "without password and key": { roles: ["admin"] },
    disabled: { ...admin, disabled: true },
    "that expires": { ...admin, expires: "2030-01-01" },
    "that a directory checks": { sshKeys: [key], roles: ["admin"], source: "directory" },
  }))
    t.match(verify({ users: { admin: user } }), [{ severity: "error", path: "users" }], why);
  t.match(verify({ users: {} }), [{ path: "users", message: /nobody could manage the box/ }]);
  t.match(
    verify({
      users: { anna: { passwordHash, roles: ["some"] } },
      roles: { some: { permissions: ["*:*"], bindings: { farms: ["web"] } } },
    }),
    [{ path: "users" }],
    "everything on one farm is not everything",
  );
});

t.test("what users and groups refer to must be there", async (t) => {
  t.match(
    verify({
      users: { admin, anna: { roles: ["farm-operator", "nope"], groups: ["none"] } },
      groups: { staff: { roles: ["read-only", "gone"] } },
      roles: { auditor: { permissions: ["*:*"] } },
      access: { sessions: { idleMinutes: 60, absoluteMinutes: 30 } },
    }),
    [
      { path: "roles.auditor", message: /built in/ },
      { path: "groups.staff.roles.1", message: "there is no role gone" },
      { path: "users.anna.roles.1", message: "there is no role nope" },
      { path: "users.anna.groups.0", message: "there is no group none" },
      { path: "access.sessions.idleMinutes" },
    ],
  );
  t.match(verify({ users: { admin, dora: { source: "directory", passwordHash } } }), [
    { path: "users.dora.passwordHash", message: /directory checks/ },
  ]);
});

t.test("a user has no name that the system has", async (t) => {
  for (const name of ["root", "haproxy", "systemd-network", "Anna", "a.b", "constructor "])
    t.throws(() => verify({ users: { admin, [name]: {} } }), name);
});
