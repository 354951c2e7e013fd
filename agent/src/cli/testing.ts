import { PassThrough } from "node:stream";
import type { Test } from "tap";
import { findFreePort, setUpServer } from "../api/testing.ts";
import { runCommandLine } from "./program.ts";

/** What the tests of the command stand on: a box that listens on its socket and on HTTPS, and the command line as a function of it. */
export async function setUpCommand(t: Test) {
  const { server, control, machine } = await setUpServer(t);
  const port = await findFreePort();
  await control.commit({
    author: { user: "admin", source: "local" },
    message: "another port",
    change: (now) => ({ ...now, system: { ...now.system, management: { interfaces: [], port } } }),
  });
  await server.listen();
  const socket = machine.path("/run/steelyard/api.sock");
  const home = machine.path("/root");
  const run = async (line: string | string[], typed = "", environment: NodeJS.ProcessEnv = {}, width?: number) => {
    const [lines, errors]: [string[], string[]] = [[], []];
    const input = new PassThrough();
    input.end(typed);
    const status = await runCommandLine(typeof line === "string" ? line.split(" ") : line, {
      environment: { STEELYARD_SOCKET: socket, HOME: home, ...environment },
      input: input as unknown as NodeJS.ReadStream,
      output: {
        print: (text) => lines.push(text),
        warn: (text) => errors.push(text),
        write: (bytes) => lines.push(bytes.toString("latin1")),
        colours: false,
        width,
      },
    });
    return { status, out: lines.join("\n"), err: errors.join("\n") };
  };
  return { run, control, machine, port, server, socket, home };
}
