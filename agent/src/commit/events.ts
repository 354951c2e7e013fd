import type { Logger } from "../adapters/machine.ts";
import { messageOf } from "../errors.ts";
import type { ControlEvent, ControlListener } from "./control.ts";

export type Announcer = {
  announce(event: ControlEvent): void;
  subscribe(listener: ControlListener): () => void;
};

/** Tells every listener of every event. A listener cannot fail a commit: what it throws is logged. */
export function makeAnnouncer(log: Logger): Announcer {
  const listeners = new Set<ControlListener>();
  /** Told to whoever comes later too: found before anybody could listen, and true until a commit mends it. */
  const standing: ControlEvent[] = [];

  function tell(listener: ControlListener, event: ControlEvent): void {
    try {
      listener(event);
    } catch (error) {
      log.error(`telling of ${event.kind}: ${messageOf(error)}`);
    }
  }

  return {
    announce(event) {
      if (event.kind === "configuration-damaged") standing.push(event);
      if (event.kind === "committed" || event.kind === "reverted") standing.length = 0;
      for (const listener of [...listeners]) tell(listener, event);
    },
    subscribe(listener) {
      // A function of its own, so that a listener that subscribes twice is two.
      const own: ControlListener = (event) => listener(event);
      listeners.add(own);
      for (const event of standing) tell(own, event);
      return () => void listeners.delete(own);
    },
  };
}
