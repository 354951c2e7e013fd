import type { createConnection } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { Client, FilterParser, ResultCodeError } from "ldapts";
import { messageOf } from "../errors.ts";
import {
  fingerprintOf,
  openSocket,
  openTls,
  requirePin,
  type TlsTarget,
  tlsOptions,
  withDeadline,
} from "./tls-client.ts";

/** One connection to one LDAP server (RFC 4511). What fails is an {@link LdapError}; its words hold no secret. */

export type LdapTarget = TlsTarget & { security: "ldaps" | "starttls" | "none" };

export type LdapEntry = { dn: string; values(attribute: string): string[] };

export type LdapSearch = {
  base: string;
  scope: "base" | "sub";
  filter: string;
  attributes: string[];
  /** Entries; more are left out. */
  limit: number;
};

export type LdapConnection = {
  /** TLS version, cipher and fingerprint of the server's certificate; undefined without TLS. */
  tls: { protocol: string; cipher: string; fingerprint: string } | undefined;
  /** Throws {@link LdapError} of the phase `bind`, `refused` when it is the name or the password that is wrong. */
  bind(name: string, password: string): Promise<void>;
  /** References to other servers are not followed. */
  search(search: LdapSearch): Promise<LdapEntry[]>;
  close(): void;
};

export type LdapPhase = "connect" | "tls" | "bind" | "search";

export class LdapError extends Error {
  readonly phase: LdapPhase;
  /** The server answered, and the answer is no: a wrong password, a locked account. */
  readonly refused: boolean;
  /** The server answered at all: asking another one of the same directory would change nothing. */
  readonly answered: boolean;

  constructor(
    phase: LdapPhase,
    message: string,
    options: { refused?: boolean; answered?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "LdapError";
    this.phase = phase;
    this.refused = options.refused ?? false;
    this.answered = options.answered ?? this.refused;
  }
}

/**
 * Opens a connection. The socket is made and its certificate checked here, before ldapts has it: a client of its own would
 * connect again by itself when the server hangs up, without StartTLS, and send the next password in clear.
 */
export async function openLdap(target: LdapTarget): Promise<LdapConnection> {
  const { host, port, security, timeout } = target;
  const plain = await openSocket(target).catch((error) => {
    throw new LdapError("connect", messageOf(error), { cause: error });
  });
  let secured: TLSSocket | undefined;
  let given = false;
  const client = new Client({
    url: "ldap://directory.invalid",
    timeout,
    createConnection: (() => {
      if (given) throw new Error("the server closed the connection");
      given = true;
      return secured ?? plain;
    }) as unknown as typeof createConnection,
    createSecureConnection: ((options: ConnectionOptions) => {
      secured = connectTls(options);
      return secured;
    }) as unknown as typeof connectTls,
  });
  const close = () => {
    // Says goodbye when it can (RFC 4511, 4.3), and lets nothing linger when it cannot.
    client.unbind().catch(() => undefined);
    setTimeout(() => plain.destroy(), 100).unref();
  };
  try {
    if (security === "ldaps") secured = await openTls(target, plain);
    if (security === "starttls")
      await withDeadline(client.startTLS(tlsOptions(target)), timeout, () => plain.destroy());
    if (secured) requirePin(target, secured);
  } catch (error) {
    close();
    throw new LdapError("tls", `TLS with ${host}:${port}: ${messageOf(error)}`, { cause: error });
  }
  const tls = secured && {
    protocol: secured.getProtocol() ?? "",
    cipher: secured.getCipher().name,
    fingerprint: fingerprintOf(secured),
  };
  return {
    tls,
    async bind(name, password) {
      // RFC 4513, 5.1.2: a name with an empty password is an anonymous bind, which succeeds.
      if (name !== "" && password === "")
        throw new LdapError("bind", "an empty password is no password", { refused: true });
      try {
        await client.bind(name, password);
      } catch (error) {
        throw asLdapError("bind", error);
      }
    },
    async search({ base, scope, filter, attributes, limit }) {
      try {
        const { searchEntries } = await client.search(base, {
          scope,
          filter,
          attributes,
          sizeLimit: limit,
          timeLimit: Math.ceil(timeout / 1000),
          derefAliases: "never",
        });
        return searchEntries.map((entry) => ({ dn: entry.dn, values: (name) => valuesOf(entry, name) }));
      } catch (error) {
        throw asLdapError("search", error);
      }
    },
    close,
  };
}

/** Why a filter is none (RFC 4515); undefined when it is one. */
export function findFilterMistake(filter: string): string | undefined {
  try {
    FilterParser.parseString(filter);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Result codes by which a server says that it is the name or the password: RFC 4511, appendix A.2. */
const refusals = new Map([
  [19, "constraint violation: the account is locked"],
  [32, "no such name"],
  [34, "no valid name"],
  [48, "this account may not log in by password"],
  [49, "wrong name or password"],
  [50, "not permitted"],
  [53, "the server is unwilling: the account is disabled"],
]);
/** Busy, unavailable: another server may do better. */
const passing = new Set([51, 52]);

function asLdapError(phase: "bind" | "search", error: unknown): LdapError {
  if (error instanceof LdapError) return error;
  if (!isResult(error)) return new LdapError(phase, messageOf(error).split("\n")[0] ?? "", { cause: error });
  const refusal = phase === "bind" ? refusals.get(error.code) : undefined;
  if (error.code === 10)
    return new LdapError(phase, "the server refers to another one, which is not followed", { answered: true });
  const words = refusal ?? messageOf(error).replace(/\s+/g, " ").trim();
  return new LdapError(phase, words, {
    refused: refusal !== undefined,
    answered: !passing.has(error.code),
    cause: error,
  });
}

/** ldapts gives its errors the prototype of their base class. */
function isResult(error: unknown): error is ResultCodeError {
  return (
    error instanceof ResultCodeError ||
    (error instanceof Error && typeof (error as { code?: unknown }).code === "number")
  );
}

function valuesOf(entry: Record<string, unknown>, attribute: string): string[] {
  const key = Object.keys(entry).find((each) => each.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? [] : entry[key];
  return [value].flat().map((each) => (Buffer.isBuffer(each) ? each.toString("utf8") : String(each)));
}
