import { createRtNetlink, rt } from "node-netlink";
import { type Link, linkOfMessage } from "./netlink-link.ts";

/** What the kernel tells of its links as it happens. lost: it told more than we could read, so look at all of them. */
export type LinkEvent = { kind: "changed" | "removed"; link: Link } | { kind: "lost" };

/** Follows the links until the signal. Throws when the kernel refuses the subscription. */
export type FollowLinks = (listener: (event: LinkEvent) => void, signal: AbortSignal) => void;

/** Bytes: a card with a hundred virtual functions tells of all of them at once. */
const receiveBuffer = 1024 * 1024;

/** The multicast group RTNLGRP_LINK of rtnetlink(7), in the process's own network namespace. */
export const followLinks: FollowLinks = (listener, signal) => {
  if (signal.aborted) return;
  const { socket } = createRtNetlink();
  socket.setRecvBufferSize(receiveBuffer);
  socket.on("message", (messages) => {
    for (const { type, data } of messages) {
      if (type !== rt.MessageType.NEWLINK && type !== rt.MessageType.DELLINK) continue;
      const link = linkOfMessage(data);
      if (link) listener({ kind: type === rt.MessageType.NEWLINK ? "changed" : "removed", link });
    }
  });
  // ENOBUFS: messages did not fit the buffer.
  for (const event of ["error", "truncatedMessage", "invalid"] as const)
    socket.on(event, () => listener({ kind: "lost" }));
  socket.addMembership(rt.MulticastGroups.LINK);
  signal.addEventListener("abort", () => socket.close(), { once: true });
};
