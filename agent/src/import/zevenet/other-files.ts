import { type Draft, report } from "./draft.ts";
import { parseTiny } from "./formats.ts";
import { later } from "./report.ts";
import { readText } from "./source.ts";

/** All that is left in a backup: each file or family of files is told, with what becomes of it. */

export function readOtherFiles(draft: Draft): void {
  readGuardian(draft);
  const unseen = () => [...draft.source.configuration.keys()].filter((path) => !draft.seen.has(path)).sort();
  for (const { pattern, kind, notes, ...rest } of families) {
    const groups = new Map<string, string[]>();
    for (const path of unseen()) {
      const name = pattern.exec(path)?.[1];
      if (name !== undefined) groups.set(name, [...(groups.get(name) ?? []), path]);
    }
    for (const [name, [first = "", ...others]] of groups) {
      for (const path of others) draft.seen.add(path);
      const more = others.length === 0 ? [] : [`${others.length + 1} files`];
      report(draft, { kind, name, file: first, result: "not-supported", notes: [...notes, ...more], ...rest });
    }
  }
  for (const path of unseen())
    report(draft, {
      kind: "file",
      name: path,
      file: path,
      result: "not-supported",
      notes: ["nobody knows what it is for"],
    });
  readSystemFiles(draft);
}

type Family = { pattern: RegExp; kind: string; notes: string[]; later?: string };

/** The first group of each pattern is the name of the thing; files of one name are one thing. */
const families: Family[] = [
  {
    pattern: /^ipds\/([^/]+)/,
    kind: "protection",
    notes: ["rules of protection are set up anew"],
    later: later.protection,
  },
  {
    pattern: /^(cluster\.conf|zcluster\.conf|keepalived\.conf)$/,
    kind: "cluster",
    notes: ["the pair is set up anew"],
    later: later.cluster,
  },
  {
    pattern: /^rbac\/(.+?)(?:\.conf)?$/,
    kind: "access",
    notes: ["users, groups and roles are made anew: their passwords cannot be read"],
  },
  {
    pattern: /^(letsencrypt)\//,
    kind: "certificate",
    notes: ["accounts and renewals of Let's Encrypt are set up anew"],
    later: later.certificates,
  },
  {
    pattern: /^(notifications?|sec\.rules|zen_notifications)(?:\/|\.|$)/,
    kind: "notifications",
    notes: ["set up anew"],
    later: later.notifications,
  },
  {
    pattern: /^routes\/(isolate)\.conf$/,
    kind: "routes",
    notes: ["tables that an interface's network is kept out of: every table here reaches the connected networks"],
  },
  { pattern: /^(bonding\.conf|routes\/.*)$/, kind: "links", notes: ["it names nothing: nothing to take"] },
  {
    pattern: /^(zlb-start|zlb-stop|pre-maintenance|post-maintenance)$/,
    kind: "script",
    notes: ["own scripts do not run on this box: only what is configured does"],
  },
  {
    pattern: /^(?:.+_)?(status|sessions)\.cfg$/,
    kind: "state",
    notes: ["how things were when the backup was made: nothing to take"],
  },
  {
    pattern: /^(fwmarks\.conf|l4sd\.cfg|.*\.(?:lock|pid|swp)|openssl\.cnf)$/,
    kind: "state",
    notes: ["the product's own bookkeeping: nothing to take"],
  },
  { pattern: /^((?:.+\/)?\.keep)$/, kind: "state", notes: ["empty: nothing to take"] },
  { pattern: /^local\/(.+)$/, kind: "state", notes: ["of that box alone: nothing to take"] },
];

/** `farmguardian.conf` (sections) since 5.9; before, `<farm>_<service>_guardian.conf` with `farm:::15:::command:::true:::false`. */
function readGuardian(draft: Draft): void {
  const { configuration } = draft.source;
  const item = { kind: "health check", result: "not-supported" as const, later: later.health };
  for (const path of [...configuration.keys()].sort()) {
    if (/^(?:farmguardian|fg)\.conf$/.test(path)) {
      const sections = [...parseTiny(readText(configuration, path) ?? "")].filter(([name]) => name !== "_");
      const isUsed = (fields: ReadonlyMap<string, string>) => fields.get("template") !== "true" || fields.get("farms");
      for (const [name, fields] of sections.filter(([, each]) => isUsed(each))) {
        const farms = (fields.get("farms") ?? "").split(" ").filter((each) => each !== "");
        const notes = [
          `${describeCheck(fields.get("command"), fields.get("interval"))}; farms: ${farms.join(", ") || "none"}`,
        ];
        report(draft, { ...item, name, file: path, notes, content: { ...Object.fromEntries(fields), farms } });
      }
      const unused = sections.filter(([, each]) => !isUsed(each)).length;
      const name = `${unused} checks that come with the product`;
      if (unused > 0) report(draft, { ...item, name, file: path, notes: ["no farm uses them: nothing to take"] });
      draft.seen.add(path);
    } else if (/_guardian\.conf$/.test(path)) {
      const line =
        (readText(configuration, path) ?? "").split("\n").find((each) => each !== "" && !each.startsWith("#")) ?? "";
      const [farm = "", interval = "", command = "", enabled = "", log = ""] = line.split(":::");
      const notes = [`${describeCheck(command, interval)}; farm: ${farm}${enabled === "true" ? "" : ", not enabled"}`];
      const content = { farm, interval, command, enabled: enabled === "true", log: log.trim() === "true" };
      report(draft, { ...item, name: path.replace(/_guardian\.conf$/, ""), file: path, notes, content });
    }
  }
}

function describeCheck(command = "", interval = ""): string {
  // Commands may carry passwords of the checked service; their first word says what is checked.
  return `${command.split(" ")[0] || "no command"} every ${interval || "?"} s`;
}

const systemFiles: [RegExp, string][] = [
  [/etc\/ssh\/sshd_config$/, "SSH is set up under system.ssh; its port and interfaces stay as they are here"],
  [/etc\/snmp\/snmpd\.conf$/, "SNMP is set up anew"],
  [/cherokee\.conf$/, "the product's own web server"],
  [/www\/[^/]+\.pem$/, "the certificate of the product's own web interface"],
  [/rt_tables$/, "numbers of routing tables are this box's own"],
  [/etc\/cron\.d\//, "jobs of the product"],
  [/(?:zevenet|skudonet)_version$/, "tells the version of the product"],
  [/nagios\/plugins\/|libexec\//, "programs for health checks: they do not run on this box"],
];

/** What lies beside the configuration directory; what was taken of it has been reported already. */
function readSystemFiles(draft: Draft): void {
  const reported = new Set(draft.report.map(({ source }) => source));
  const plugins: string[] = [];
  for (const path of [...draft.source.system.keys()].sort()) {
    if (reported.has(path)) continue;
    const [, words = "nobody knows what it is for"] = systemFiles.find(([pattern]) => pattern.test(path)) ?? [];
    if (/nagios\/plugins\/|libexec\//.test(path)) plugins.push(path);
    else draft.report.push({ kind: "file", name: path, source: path, result: "not-supported", notes: [words] });
  }
  const [first = ""] = plugins;
  if (plugins.length === 0) return;
  const name = `${plugins.length} programs for health checks`;
  const notes = ["they do not run on this box"];
  draft.report.push({
    kind: "file",
    name,
    source: first.replace(/[^/]+$/, ""),
    result: "not-supported",
    notes,
    later: later.health,
  });
}
