import { execa } from "execa";

/** The HTTP proxy that this machine's apt uses, if any, as apt options; mmdebstrap and mkosi do not read the host's apt configuration. */
export async function proxyOptions(): Promise<string[]> {
  const { stdout } = await execa(
    "apt-config",
    ["dump", "--format", "%f=%v%n", "Acquire::http::Proxy", "Acquire::https::Proxy"],
    {
      reject: false,
    },
  );
  const lines = (stdout ?? "").split("\n").filter((line) => /^Acquire::https?::Proxy=./.test(line));
  return lines.map((line) => line.replace(/^([^=]+)=(.*)$/, '$1 "$2"'));
}
