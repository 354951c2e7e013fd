import type { FastifyRequest } from "fastify";
import { SteelyardError } from "../errors.ts";

/**
 * The session of a browser. The prefix __Host- makes browsers refuse a cookie of this name that is not Secure, has a Domain,
 * or is set by a neighbouring host (RFC 6265bis, 4.1.3.2).
 */
const name = "__Host-steelyard";

export function cookieToken({ headers }: FastifyRequest): string | undefined {
  for (const part of (headers.cookie ?? "").split(";")) {
    const [key, value] = part.trim().split("=");
    if (key === name && value !== undefined && /^[A-Za-z0-9_-]{1,128}$/.test(value)) return value;
  }
  return undefined;
}

/** `seconds` is the longest the session can last; 0 takes the cookie away. */
export function formatCookie(token: string, seconds: number): string {
  return `${name}=${token}; Path=/; Max-Age=${Math.floor(seconds)}; Secure; HttpOnly; SameSite=Strict`;
}

/**
 * Throws `forbidden` unless the browser says that a page of this very box sends the request (Fetch metadata, or Origin in
 * browsers without it). Programs have no business with cookies, so one of the two must be there.
 */
export function requireSameOrigin({ headers }: FastifyRequest): void {
  const site = headers["sec-fetch-site"];
  const { origin, host } = headers;
  const given = site !== undefined || origin !== undefined;
  const same = (site === undefined || site === "same-origin") && (origin === undefined || origin === `https://${host}`);
  if (!given || !same)
    throw new SteelyardError("forbidden", "a cookie is good for pages of this box only: use a token elsewhere");
}
