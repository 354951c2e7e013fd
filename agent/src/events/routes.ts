import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { isPermitted, type Permission, type Principal } from "../access/permissions.ts";
import { TooManyRequests } from "../access/throttle.ts";
import { currentPrincipal } from "../api/authentication.ts";
import type { Routes } from "../api/context.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { type Event, type Topic, topics } from "./bus.ts";
import { type EventStream, formatGap, makeEventStream } from "./stream.ts";

/** What the events of a topic tell may be read by whoever may read it elsewhere. */
const permissions: Record<Topic, Permission> = {
  commits: "configuration:read",
  states: "farms:read",
  jobs: "jobs:read",
  statistics: "system:read",
};

/** Each stream costs a connection and up to 256 KiB. */
const greatestStreams = 64;
const greatestOfUser = 8;

const query = z.strictObject({
  topic: z
    .string()
    .max(256, "expected at most 256 characters")
    .optional()
    .check(({ value, issues }) => {
      const wrong = splitTopics(value).filter((each) => !topics.includes(each as Topic));
      if (wrong.length > 0)
        issues.push({
          code: "custom",
          input: value,
          message: `expected some of ${topics.join(", ")}, with commas between them`,
        });
    })
    .describe(`Some of ${topics.join(", ")}, with commas between them; left out, all you may read but statistics`),
});

const example = [
  "retry: 3000",
  "",
  "id: mjv1x2-7",
  "event: committed",
  'data: {"id":"mjv1x2-7","topic":"commits","kind":"committed","time":"2026-01-01T12:00:00.000Z","data":{"generation":7}}',
  "",
  "",
].join("\n");

/** What happens, as it happens. */
export const addEventRoutes: Routes = (app, context) => {
  const { events } = context;
  const streams = new Set<EventStream>();
  let closing = false;

  // Before fastify waits for requests under way: a stream would never end by itself.
  app.addHook("preClose", async () => {
    closing = true;
    for (const stream of streams) stream.end("closing");
  });

  app.get("/api/v1/events", {
    // A HEAD route of its own making would open a stream.
    exposeHeadRoute: false,
    config: { permission: "self:read" },
    schema: {
      operationId: "streamEvents",
      tags: ["Events"],
      summary: "Follow what happens, as Server-Sent Events",
      description:
        "Each event has an id, its kind as `event`, and JSON as `data`: {id, topic, kind, time, data}. With the header `Last-Event-ID`, which browsers send by themselves, the stream goes on after that event; when some are gone by then, it begins with the event `gap`. A comment comes every 15 seconds. Who reads too slowly, or is no longer logged in, gets the event `end` with the reason.",
      querystring: query,
      headers: z.looseObject({
        "last-event-id": z
          .string()
          .max(64, "expected an id of an event")
          .optional()
          .describe("The last event that was read"),
      }),
      response: {
        200: {
          description: "A stream that does not end by itself",
          content: { "text/event-stream": { schema: z.string().meta({ examples: [example] }) } },
        },
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const wanted = topicsOf(request);
      const user = request.principal?.user ?? "";
      if (closing) throw new SteelyardError("not-ready", "the agent is stopping");
      if (events.streams.size >= greatestStreams || countOf(user) >= greatestOfUser) throw new TooManyRequests(5);

      const stream = makeEventStream();
      // Rights are those of now: looked up at each sign of life, while the stream is open.
      let principal = request.principal;
      const tell = (event: Event) => {
        if (principal && mayRead(principal, event)) stream.send(event);
      };
      const after = request.headers["last-event-id"];
      const missed = typeof after === "string" && after !== "" ? events.bus.after(after, wanted) : [];
      if (missed === undefined) stream.readable.push(formatGap(wanted));
      for (const event of missed ?? []) tell(event);
      const unsubscribe = events.bus.subscribe(wanted, tell);
      const beat = setInterval(() => {
        principal = currentPrincipal(request, context);
        if (principal) stream.beat();
        else stream.end("logged-out");
      }, events.beat).unref();

      streams.add(stream);
      events.streams.set(stream, user);
      stream.readable.once("close", () => {
        clearInterval(beat);
        unsubscribe();
        streams.delete(stream);
        events.streams.delete(stream);
      });
      return reply.type("text/event-stream; charset=utf-8").header("X-Accel-Buffering", "no").send(stream.readable);
    },
  });

  function countOf(user: string): number {
    return [...events.streams.values()].filter((each) => each === user).length;
  }
};

/** Throws `forbidden` for a topic that was asked for and may not be read. */
function topicsOf({ query: given, principal }: FastifyRequest): Topic[] {
  const asked = splitTopics((given as z.output<typeof query>).topic) as Topic[];
  const may = (topic: Topic) => topic === "jobs" || (principal && isPermitted(principal, permissions[topic], "some"));
  const refused = asked.find((topic) => !may(topic));
  if (refused !== undefined)
    throw new SteelyardError("forbidden", `the topic ${refused} needs the permission ${permissions[refused]}`);
  return asked.length > 0 ? asked : topics.filter((topic) => topic !== "statistics" && may(topic));
}

/** Of farms, links and certificates those the role is bound to; of jobs one's own, without the right to read all. */
function mayRead(principal: Principal, { topic, data }: Event): boolean {
  const about = data as { farm?: string; link?: string; certificate?: string; owner?: string };
  if (about.farm !== undefined) return isPermitted(principal, "farms:read", { name: about.farm });
  if (about.link !== undefined) return isPermitted(principal, "network:read", { name: about.link });
  if (about.certificate !== undefined) return isPermitted(principal, "certificates:read", { name: about.certificate });
  if (topic === "jobs" && about.owner === principal.user) return true;
  return isPermitted(principal, permissions[topic]);
}

function splitTopics(list: string | undefined): string[] {
  return list === undefined || list === "" ? [] : list.split(",").map((each) => each.trim());
}
