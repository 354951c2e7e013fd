import t from "tap";
import { chooseMirror, findMirror, renderSources } from "./mirror.ts";
import { makeProgress } from "./progress.ts";
import { explainFailure } from "./run-tool.ts";

const deb822 = `# comment
Types: deb
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main
`;

const vendor = `Types: deb
URIs: https://vendor.example/node_20.x
Suites: nodistro
Components: main
`;

t.test("the machine's own Debian mirror is found among all its sources", async (t) => {
  const found = { main: "http://mirror.example/debian", security: "http://mirror.example/debian-security" };
  t.strictSame(
    chooseMirror([
      { name: "cloud.list", text: "deb https://vendor.example/apt cloud-sdk-bookworm main\n" },
      { name: "vendor.sources", text: vendor },
      { name: "debian.sources", text: deb822 },
    ]),
    found,
  );
  t.strictSame(
    chooseMirror([
      {
        name: "sources.list",
        text: `# deb http://old.example/debian buster main
deb-src http://source.example/debian bookworm main
deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/debian-security bookworm-security main
`,
      },
    ]),
    found,
    "one-line format, options and comments",
  );
  t.strictSame(
    chooseMirror([{ name: "debian.sources", text: `Enabled: no\n${deb822.slice(10, 140)}` }]),
    {},
    "a disabled source",
  );
  t.strictSame(chooseMirror([{ name: "vendor.sources", text: vendor }]), {});
});

t.test("MIRROR goes before the machine's own; none at all is an error that says so", async (t) => {
  const root = t.testdir({
    etc: {
      apt: {
        "sources.list.d": {
          "debian.sources": deb822.replace(
            "http://mirror.example/debian\n",
            "mirror+file:///etc/apt/mirrors/debian.list\n",
          ),
        },
        mirrors: { "debian.list": "# first\nhttp://listed.example/debian\n" },
      },
    },
  });
  t.strictSame(await findMirror(root, {}), {
    main: "http://listed.example/debian",
    security: "http://mirror.example/debian-security",
  });
  t.strictSame(await findMirror(root, { MIRROR: "http://mine.example/debian/" }), {
    main: "http://mine.example/debian/",
    security: "http://mine.example/debian-security",
  });
  t.equal(
    (await findMirror(root, { MIRROR: "http://m.example/debian", SECURITY_MIRROR: "http://s.example/x" })).security,
    "http://s.example/x",
  );
  await t.rejects(findMirror(t.testdir({}), {}), { message: /no Debian mirror in the apt sources/ });
  const text = renderSources({ main: "http://a.example/debian", security: "http://b.example/debian-security" });
  t.match(text, "URIs: http://a.example/debian\nSuites: trixie trixie-updates\nComponents: main non-free-firmware\n");
  t.match(text, "URIs: http://b.example/debian-security\nSuites: trixie-security\n");
});

t.test("failures that are the machine's are told in a sentence", async (t) => {
  t.match(
    explainFailure("E: Failed to fetch http://m.example/x  Could not resolve 'm.example'"),
    /mirror cannot be reached/,
  );
  t.match(explainFailure("  404  Not Found [IP: 192.0.2.1 80]"), /does not have what is asked for/);
  t.match(explainFailure("write: No space left on device"), "the disk is full");
  t.equal(explainFailure("Traceback (most recent call last)"), undefined);
});

t.test("progress is one live line on a terminal and one line a stage elsewhere", async (t) => {
  let now = 0;
  const collect = (isTTY: boolean) => {
    const written: string[] = [];
    return { isTTY, columns: 40, written, write: (text: string) => written.push(text) };
  };
  const plain = collect(false);
  const stage = makeProgress(plain, () => now).stage("Building");
  stage.line("\u001b[1mnoise\u001b[0m");
  now = 65_000;
  stage.done("168 MB");
  t.strictSame(plain.written, ["Building …\n", "✓  1:05  Building: 168 MB\n"]);

  const terminal = collect(true);
  const live = makeProgress(terminal, () => now).stage("A stage with a long title that does not fit");
  live.failed();
  const [drawn, ended] = terminal.written;
  t.equal(drawn, `\r\u001b[K   0:00  A stage with a long title that`, "never wider than the terminal");
  t.match(ended, /^\r.{3}✗ {2}0:00 {2}A stage with a long title that does not fit: failed\n$/);
});
