import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import * as fs from "node:fs/promises";
import { createConnection } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../src/adapters/process.ts";
import { until } from "./lab.ts";

/** Daemons that the tests run and no machine has running for it: those of the machine, or what make deps unpacked. */

const unpacked = join(dirname(fileURLToPath(import.meta.url)), "../../build/daemons");

function libraries(): string[] {
  const base = join(unpacked, "usr/lib");
  if (!existsSync(base)) return [];
  return readdirSync(base).flatMap((name) => (name.endsWith("-linux-gnu") ? [join(base, name)] : []));
}

/** The path of a file of one of those packages: `/usr/sbin/slapd`. */
export function findFile(...candidates: string[]): string {
  const all = candidates.flatMap((path) => [path, join(unpacked, path)]);
  const found = all.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`there is no ${candidates.join(" or ")}: make deps`);
  return found;
}

/** The directory of modules, whose parent is that of an architecture: `rsyslog`. */
export function findModules(name: string): string {
  const own = existsSync("/usr/lib")
    ? readdirSync("/usr/lib")
        .filter((each) => each.endsWith("-linux-gnu"))
        .map((each) => join("/usr/lib", each))
    : [];
  return findFile(...own.map((path) => join(path, name)), ...libraries().map((path) => join(path, name)));
}

export const environment = { LD_LIBRARY_PATH: libraries().join(":") };

export type Daemon = { process: ChildProcess; words(): string; stop(signal?: NodeJS.Signals): Promise<void> };

/** Starts a daemon in the foreground; it ends with the namespace at the latest. */
export function startDaemon(argv: readonly [string, ...string[]]): Daemon {
  const [file, ...args] = argv;
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
  let words = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => {
      words = (words + data.toString()).slice(-65_536);
    });
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return {
    process: child,
    words: () => words,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await gone;
    },
  };
}

/** Waits until somebody listens. */
export async function untilListening(host: string, port: number, daemon?: Daemon): Promise<void> {
  await until(`${host}:${port} listens${daemon ? `: ${daemon.words()}` : ""}`, 20_000, () => listens(host, port));
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const finish = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

export type Authority = {
  certificate: string;
  sign(name: string, subjectAltName: string): Promise<{ key: string; certificate: string }>;
};

/** A certificate authority of the test's own below a directory; gives the paths of PEM files. */
export async function makeAuthority(directory: string, name: string): Promise<Authority> {
  const path = (file: string) => join(directory, `${name}-${file}`);
  const newKey = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const certificate = path("ca.pem");
  await run([
    "openssl",
    ...newKey,
    "-x509",
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    path("ca.key"),
    "-out",
    certificate,
  ]);
  return {
    certificate,
    async sign(host, subjectAltName) {
      const [key, request, extensions, signed] = [".key", ".csr", ".ext", ".pem"].map((end) =>
        path(`${host}${end}`),
      ) as [string, string, string, string];
      await run(["openssl", ...newKey, "-subj", `/CN=${host}`, "-keyout", key, "-out", request]);
      await fs.writeFile(extensions, `subjectAltName=${subjectAltName}\n`);
      const by = [
        "-CA",
        certificate,
        "-CAkey",
        path("ca.key"),
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        extensions,
      ];
      await run(["openssl", "x509", "-req", "-in", request, ...by, "-out", signed]);
      return { key, certificate: signed };
    },
  };
}
