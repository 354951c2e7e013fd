import type { Difference } from "../../commit/control.ts";
import type { AuditEvent } from "./record.ts";

/**
 * How much one record may hold: whoever is refused chooses the words, and must not push the records of others out of the log by
 * many of them.
 */

/** Bytes of diffs in one record; a migration of a thousand farms has its diff in the generations. */
const greatestText = 64 * 1024;
const greatestObjects = 500;
const greatestProblems = 50;
/** Characters. */
const greatestMessage = 2000;
const greatestField = 300;

/** Diffs as a record holds them: whole while they are of a size, then the objects' names alone; and how many are not named. */
export function boundChanges(differences: readonly Difference[]): Pick<AuditEvent, "changes" | "omitted"> {
  if (differences.length === 0) return {};
  let left = greatestText;
  const changes = differences.slice(0, greatestObjects).map((difference) => {
    left -= Buffer.byteLength(difference.text);
    return left >= 0 ? difference : { ...difference, text: "" };
  });
  const omitted = differences.length - changes.length;
  return { changes, ...(omitted > 0 ? { omitted } : {}) };
}

export function boundEvent<Event extends Omit<AuditEvent, "time">>(event: Event): Event {
  const { message, problems, forced, omitted = 0 } = event;
  const listed = [problems, forced].flatMap((each) => each ?? []).length;
  const kept = [problems, forced].flatMap((each) => boundProblems(each) ?? []).length;
  const all = omitted + listed - kept;
  return {
    ...event,
    user: cut(event.user, greatestField),
    object: cut(event.object, greatestField),
    ...(message === undefined ? {} : { message: cut(message, greatestMessage) }),
    ...(problems ? { problems: boundProblems(problems) } : {}),
    ...(forced ? { forced: boundProblems(forced) } : {}),
    ...(all > 0 ? { omitted: all } : {}),
  };
}

function boundProblems(problems: AuditEvent["problems"]) {
  return problems?.slice(0, greatestProblems).map(({ path, message }) => ({
    path: cut(path, greatestField),
    message: cut(message, greatestField),
  }));
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
