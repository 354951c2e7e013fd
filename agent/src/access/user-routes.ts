import { addCollection, type CollectionDefinition, type CollectionView } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { addSingleton } from "../api/singleton.ts";
import { type Configuration, collections } from "../configuration/schema.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { hashPassword } from "./password.ts";
import { checkPassword } from "./password-policy.ts";
import { builtInRoles } from "./roles.ts";
import { group, newPassword, role, user } from "./schema.ts";

/** Users, groups, roles and the settings of logins. */
export const addUserRoutes: Routes = (app, context) => {
  addCollection(app, context, users);
  addCollection(app, context, groups);
  addCollection(app, context, roles);
  addSingleton(app, context, {
    url: "/api/v1/access/settings",
    name: "access",
    tag: "Sessions",
    noun: "the settings of logins",
    operation: "AccessSettings",
    description: "How long a session lasts.",
    examplePatch: { sessions: { idleMinutes: 15 } },
  });
};

const { passwordHash: _hash, totp: _totp, ...openFields } = user.shape;
const shownUser = user
  .omit({ passwordHash: true, totp: true })
  .meta({ id: "ShownUser", description: "Without the password" });
const givenUser = user
  .omit({ passwordHash: true, totp: true })
  .extend({
    password: newPassword
      .nullish()
      .describe(
        "In clear; only its hash is kept. Left out when replacing: stays as it is; null: none, no login by password",
      ),
  })
  .meta({ id: "GivenUser" });

/** What callers send is a password, what is kept its hash, and what is shown neither. */
const view: CollectionView = {
  given: givenUser,
  shown: shownUser,
  secrets: ["passwordHash", "totp"],
  async accept(given, path, machine) {
    // A patch has passed no schema yet.
    const unknown = Object.keys(given).filter((key) => key !== "password" && !Object.hasOwn(openFields, key));
    if (unknown.length > 0)
      throw badInput(unknown.map((key) => ({ path: [...path, key].join("."), message: "there is no such field" })));
    const { password, ...rest } = given;
    if (password === undefined) return rest;
    if (password === null) return { ...rest, passwordHash: null };
    const hash = await hashNewPassword(password, path.at(-1) ?? "", [...path, "password"], machine.randomBytes);
    return { ...rest, passwordHash: hash };
  },
};

/** Throws `bad-input` for a password that is too weak. */
export async function hashNewPassword(
  password: unknown,
  userName: string,
  path: readonly string[],
  randomBytes: (size: number) => Buffer,
): Promise<string> {
  const reasons = typeof password === "string" ? checkPassword(password, userName) : ["expected a password"];
  if (reasons.length > 0) throw badInput(reasons.map((message) => ({ path: path.join("."), message })));
  return await hashPassword(password as string, randomBytes);
}

const userExample = { name: "anna", fullName: "Anna Berg", roles: ["operator"] };

const users: CollectionDefinition = {
  url: "/api/v1/access/users",
  parameter: "user",
  name: collections.users.name,
  object: user,
  resource: "access",
  tag: "Users",
  noun: "user",
  operation: { one: "User", many: "Users" },
  example: { ...userExample, password: "correct horse battery" },
  shownExample: userExample,
  view,
  read: (configuration) => configuration.users,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    users: objects as Configuration["users"],
    // The keys of a user go with the user.
    apiKeys: Object.fromEntries(
      Object.entries(configuration.apiKeys).filter(([, { owner }]) => Object.hasOwn(objects, owner)),
    ),
  }),
  path: () => ["users"],
};

const groups: CollectionDefinition = {
  url: "/api/v1/access/groups",
  parameter: "group",
  name: collections.groups.name,
  object: group,
  resource: "access",
  tag: "Groups",
  noun: "group",
  operation: { one: "Group", many: "Groups" },
  example: { name: "web-team", description: "Runs the shop", roles: ["shop"] },
  read: (configuration) => configuration.groups,
  replace: (configuration, _parameters, objects) => ({ ...configuration, groups: objects as Configuration["groups"] }),
  path: () => ["groups"],
};

const builtIn = Object.fromEntries(Object.entries(builtInRoles).map(([name, each]) => [name, role.parse(each)]));

/** Built-in roles are shown among the others, and cannot be changed. */
const roles: CollectionDefinition = {
  url: "/api/v1/access/roles",
  parameter: "role",
  name: collections.roles.name,
  object: role,
  resource: "access",
  tag: "Roles",
  noun: "role",
  operation: { one: "Role", many: "Roles" },
  example: {
    name: "shop",
    description: "Farms of the shop",
    permissions: ["farms:*", "statistics:read"],
    bindings: { farms: ["shop-*"] },
  },
  read: (configuration) => ({ ...configuration.roles, ...builtIn }),
  replace: (configuration, _parameters, objects) => {
    const own = { ...objects };
    for (const [name, definition] of Object.entries(builtIn)) {
      if (own[name] !== definition)
        throw new SteelyardError("forbidden", `the role ${name} is built in: make one of your own`);
      delete own[name];
    }
    return { ...configuration, roles: own as Configuration["roles"] };
  },
  path: () => ["roles"],
};
