import { z } from "zod";
import { principalOf } from "../../api/change.ts";
import { addCollection, type CollectionDefinition, type CollectionView } from "../../api/collection.ts";
import type { Routes } from "../../api/context.ts";
import { problemDocument } from "../../api/problem.ts";
import { type Configuration, collections } from "../../configuration/schema.ts";
import { SteelyardError } from "../../errors.ts";
import { findUser } from "../rights.ts";
import { makeThrottle } from "../throttle.ts";
import { lookupSteps } from "./lookup.ts";
import { readUserName } from "./names.ts";
import { directory } from "./schema.ts";

const url = "/api/v1/access/directories";

const view: CollectionView = {
  given: directory
    .extend({
      bindPassword: directory.shape.bindPassword
        .unwrap()
        .nullish()
        .describe("Left out when replacing: stays; null: none"),
    })
    .meta({ id: "GivenDirectory" }),
  shown: directory.omit({ bindPassword: true }).meta({ id: "ShownDirectory", description: "Without the password" }),
  secrets: ["bindPassword"],
  accept: async (given) => given,
};

const example = {
  name: "corp",
  servers: ["ldaps://ldap1.example.com", "ldaps://ldap2.example.com"],
  bindDn: "cn=steelyard,ou=services,dc=example,dc=com",
  baseDn: "dc=example,dc=com",
  userFilter: "(uid={user})",
  groupRoles: [{ group: "cn=network,ou=groups,dc=example,dc=com", roles: ["operator"] }],
};

const definition: CollectionDefinition = {
  url,
  parameter: "directory",
  name: collections.directories.name,
  object: directory,
  resource: "access",
  tag: "Directories",
  noun: "directory",
  operation: { one: "Directory", many: "Directories" },
  example: { ...example, bindPassword: "a password of its own" },
  shownExample: example,
  view,
  read: (configuration) => configuration.directories,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    directories: objects as Configuration["directories"],
  }),
  path: () => ["directories"],
};

const credentials = z
  .strictObject({
    user: z
      .string("expected a user name")
      .min(1, "expected a user name")
      .max(64, "expected a user name")
      .describe("Who"),
    password: z
      .string("expected a password")
      .min(1, "expected a password")
      .max(1024, "expected at most 1024 characters")
      .describe("Used for this test and kept nowhere"),
  })
  .meta({ id: "DirectoryCredentials", examples: [{ user: "anna", password: "correct horse battery" }] });

const report = z
  .object({
    accepted: z.boolean().describe("This user could log in with this password"),
    reason: z.string().describe("In words"),
    steps: z
      .array(
        z.object({
          step: z.enum(lookupSteps).describe("What was done"),
          server: z.string().describe("With which server"),
          ok: z.boolean().describe("Whether it went well"),
          detail: z.string().describe("What came of it"),
        }),
      )
      .describe("In order; after a server that does not answer, those of the next"),
    roles: z.array(z.string()).describe("That the directory gives"),
  })
  .meta({
    id: "DirectoryTest",
    examples: [
      {
        accepted: true,
        reason: "uid=anna,ou=people,dc=example,dc=com holds operator",
        steps: [
          { step: "connect", server: "ldaps://ldap1.example.com", ok: true, detail: "ldap1.example.com:636" },
          { step: "roles", server: "ldaps://ldap1.example.com", ok: true, detail: "operator" },
        ],
        roles: ["operator"],
      },
    ],
  });

/** Directories that check passwords, and what one says of somebody. */
export const addDirectoryRoutes: Routes = (app, context) => {
  const { control, directories, machine } = context;
  addCollection(app, context, definition);
  // Whoever may change directories may try passwords, but not many.
  const attempts = makeThrottle({ now: machine.now, free: 10, first: 1000, longest: 60_000 });

  app.post(`${url}/:directory/test`, {
    config: { permission: "access:update", errors: ["not-found", "too-many-requests"] },
    schema: {
      operationId: "testDirectory",
      tags: ["Directories"],
      summary: "Try a directory with a user and a password, and tell each step",
      description: "Opens no session and changes nothing. From the 11th try of a user on each one has to wait.",
      params: z.strictObject({ directory: collections.directories.name.describe("Name of the directory") }),
      body: credentials,
      response: { 200: report, default: problemDocument },
    },
    handler: async (request) => {
      const { directory: name } = request.params as { directory: string };
      const { user: given, password } = request.body as z.output<typeof credentials>;
      const { configuration } = control.current();
      const settings = Object.hasOwn(configuration.directories, name) ? configuration.directories[name] : undefined;
      if (!settings) throw new SteelyardError("not-found", `there is no directory ${name}`);
      const user = readUserName(given);
      if (user === undefined)
        return refuse(
          "expected a name of letters, digits and . _ @ -, beginning with a letter or digit: others are never looked up",
        );
      attempts.attempt(user);
      machine.log.info(`directory ${name}: tested with ${user} by ${principalOf(request).user}`);
      const { answer, steps } = await directories.tell(settings, user, password);
      if (answer?.outcome !== "accepted") {
        const reason =
          answer?.outcome === "refused"
            ? answer.reason
            : answer
              ? "there is no such user"
              : "no server answered as it should";
        return { ...refuse(reason), steps };
      }
      const { dn, roles } = answer.found;
      const local = findUser(configuration, user);
      if (local && local.source !== "directory")
        return { ...refuse(`${user} is a local user here, so directories are not asked`), steps, roles };
      if (roles.length === 0 && !local) return { ...refuse(`${dn} is in no group that holds a role`), steps };
      return {
        accepted: true,
        reason: `${dn} holds ${roles.join(", ") || "the roles of its user object"}`,
        steps,
        roles,
      };
    },
  });
};

function refuse(reason: string): z.output<typeof report> {
  return { accepted: false, reason, steps: [], roles: [] };
}
