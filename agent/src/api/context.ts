import type { FastifyInstance, FastifySchema } from "fastify";
import type { Audit } from "../access/audit/audit.ts";
import type { AuditExport } from "../access/audit/export/exporter.ts";
import type { Directories } from "../access/directory/directories.ts";
import type { KeyUses } from "../access/key-use.ts";
import type { Login } from "../access/login.ts";
import type { BindingKind, Permission, Principal } from "../access/permissions.ts";
import type { Sessions } from "../access/sessions.ts";
import type { TotpFactor } from "../access/totp/factor.ts";
import type { Machine } from "../adapters/machine.ts";
import type { ShownCertificate } from "../certificates/management.ts";
import type { CommitResult, ConfigurationControl } from "../commit/control.ts";
import type { UplinkFarmStatus } from "../dslb/routes.ts";
import type { ErrorCode, Problem } from "../errors.ts";
import type { EventHub } from "../events/hub.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { FarmStatus } from "../lslb/l4/routes.ts";
import type { Link } from "../network/link-routes.ts";
import type { InterfaceStatus } from "../network/routes.ts";
import type { RouteStatus, RuleStatus } from "../routing/routes.ts";
import type { SystemStatus } from "../system/routes.ts";
import type { IdempotencyStore } from "./idempotency-store.ts";
import type { ProblemDocument } from "./problem.ts";

/** How a request reached us. Whoever can open the local socket acts as `admin`. */
export type Transport = "https" | "local";

/** What the machine reports; each subsystem's `status.ts` behind it. They throw `not-found` for what is not there. */
export type StatusReaders = {
  /** Of the farms named, or of all. */
  readFarmStatuses(names?: readonly string[]): Promise<FarmStatus[]>;
  readLinks(): Promise<Link[]>;
  readInterfaceStatus(name: string): Promise<InterfaceStatus>;
  readSystemStatus(): Promise<SystemStatus>;
  /** Of the kernel, with who made each. */
  readRoutes(): Promise<RouteStatus[]>;
  readRules(): Promise<RuleStatus[]>;
  readUplinkStatuses(): Promise<UplinkFarmStatus[]>;
  /** Uses an uplink again that waits for its return. False when it does not wait. */
  returnUplink(farm: string, uplink: string): Promise<boolean>;
  /** All farms at once, connections not counted. */
  readFarmStates(): Promise<FarmStatus[]>;
  /** For the topic `statistics`: counters and load, cheap to read. */
  readStatistics(): Promise<object>;
};

/** What every route may use. */
export type ApiContext = {
  control: ConfigurationControl;
  machine: Machine;
  status: StatusReaders;
  sessions: Sessions;
  idempotency: IdempotencyStore;
  events: EventHub;
  login: Login;
  keyUses: KeyUses;
  audit: Audit;
  auditExport: AuditExport;
  totp: TotpFactor;
  jobs: Jobs;
  /** Of the appliance. */
  version: string;
  /** Has HTTPS show the certificate that is stored now, from the next connection on. */
  renewCertificate(): Promise<void>;
  directories: Directories;
  /** The certificate HTTPS shows. */
  management: { shown(): Promise<ShownCertificate>; regenerate(): Promise<void> };
};

/** The routes of a subsystem. */
export type Routes = (app: FastifyInstance, context: ApiContext) => void;

/**
 * The object a request is about, for roles that are bound to some: the parameter that names it, or `some` where there are
 * several, or it is named in the body: then the handler filters what it shows, and a commit is checked object by object.
 */
export type RouteObject = { kind: BindingKind; parameter: string } | "some";

export type KnownRoute = {
  method: string;
  url: string;
  permission: Permission | undefined;
  /** With the zod schemas of the route. */
  schema: FastifySchema | undefined;
};

declare module "fastify" {
  interface FastifyInstance {
    /** Every route, in the order they were added. */
    knownRoutes: KnownRoute[];
  }
  interface FastifyContextConfig {
    /** What a request to this route needs; a route without one is refused when it is registered. */
    permission?: Permission;
    /** Codes the route answers beside those that follow from its shape: see openapi-problems.ts. */
    errors?: readonly ErrorCode[];
    /** The answer is an object with an ETag: If-Match and If-None-Match hold. */
    entityTag?: boolean;
    /** What the permission is wanted on; left out, on every object of the resource. */
    object?: RouteObject;
    /** Where the object in the body stands in the configuration: the beginning of each problem's path. */
    bodyPath?: (request: FastifyRequest) => string[];
    /** The answer holds a secret that is shown once: it is never kept, so the route takes no `Idempotency-Key`. */
    showsSecret?: true;
  }
  interface FastifyRequest {
    /** Set by the authentication hook on every route that is not public. */
    principal: Principal | undefined;
    /** Set once the request has changed the configuration (or has found it to be so already). */
    commit: (CommitResult & { message: string }) | undefined;
    /** What would have refused an action, had it not been forced: for the audit log. */
    forced: Problem[] | undefined;
    /** How the request was refused: for the audit log. */
    problem: ProblemDocument | undefined;
    /** Whom a login is about, while there is no principal. */
    attemptedBy: string | undefined;
  }
}
