import type { MachineDescription } from "./machine.ts";
import type { SectionName, SectionResult, Table } from "./results.ts";
import { sectionNames } from "./results.ts";

const titles: Record<SectionName, string> = {
  build: "Building the image",
  control: "The control plane at 1,000 farms",
  boot: "Boot: power on to the first byte through a farm",
  agent: "The agent: memory and start",
  api: "From the API call to the changed data plane",
  l4: "Layer 4 throughput and connections",
};

/** The report as Markdown. A section that was never measured is named, with the command that measures it. */
export function renderReport(machine: MachineDescription, results: readonly SectionResult[]): string {
  const sections = sectionNames.map((name) => {
    const result = results.find(({ section }) => section === name);
    return result ? renderSection(result) : `## ${titles[name]}\n\nNot measured yet: \`make bench ONLY=${name}\`.\n`;
  });
  return [`# Steelyard: measurements`, renderMachine(machine), guide, ...sections].join("\n\n");
}

const guide = `Figures are medians, with the lowest and the highest in brackets. Absolute figures belong to this machine and accelerator;
ratios come from one run with the peers measured in turn, and are what carries over. Each section says when it was measured.`;

function renderMachine(machine: MachineDescription): string {
  const rows: [string, string][] = [
    ["processor", `${machine.processor}, ${machine.cores} cores`],
    ["memory", `${machine.memoryMegabytes} MiB`],
    ["kernel of the host", machine.kernel],
    ["accelerator", machine.accelerator === "kvm" ? "KVM" : "none: QEMU emulates the guest's processor (TCG)"],
    ["QEMU", machine.qemu],
    [
      "guests",
      `${machine.guest.processors} processor${machine.guest.processors === 1 ? "" : "s"}, ${machine.guest.memoryMegabytes} MiB, unless a section says otherwise`,
    ],
    ["date", machine.date],
    ["commit", machine.commit],
  ];
  return rows.map(([name, value]) => `- ${name}: ${value}`).join("\n");
}

function renderSection({ section, date, commit, accelerator, seconds, tables, missing }: SectionResult): string {
  const lines = [
    `## ${titles[section]}`,
    "",
    `Measured ${date}, commit ${commit}, ${accelerator}, in ${Math.round(seconds)} s.`,
    "",
    ...tables.filter(({ rows }) => rows.length > 0).flatMap((table) => [renderTable(table), ""]),
  ];
  if (missing.length > 0) {
    lines.push("Could not be measured:", "");
    for (const { what, reason } of missing) lines.push(`- ${what}: ${oneLine(reason)}`);
    lines.push("");
  }
  return lines.join("\n");
}

function renderTable({ title, columns, rows, notes }: Table): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => oneLine(String(cell)).replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = `|${columns.map((_, index) => (index === 0 ? "---" : "---:")).join("|")}|`;
  const remarks = notes.map((note) => `- ${note}`);
  return [
    `### ${title}`,
    "",
    line(columns),
    rule,
    ...rows.map(line),
    ...(remarks.length > 0 ? ["", ...remarks] : []),
  ].join("\n");
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " / ");
}
