const width = 50;

/** A table of counts with a bar for each: `b1  █████████  100`. A count of zero has no bar; one above zero has at least a block. */
export function drawBars(counts: Record<string, number>, total: number): string {
  const names = Object.keys(counts);
  const longest = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => {
    const count = counts[name] ?? 0;
    const blocks = count === 0 ? 0 : Math.max(1, Math.round((count / Math.max(1, total)) * width));
    const percent = total === 0 ? 0 : Math.round((count / total) * 100);
    return `${name.padEnd(longest)}  ${"█".repeat(blocks).padEnd(width, "·")}  ${String(count).padStart(4)}  ${String(percent).padStart(3)} %`;
  });
  return `${lines.join("\n")}\n`;
}
