/** The middle value; of an even number the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low, high] = sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : [sorted[middle - 1], sorted[middle]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

/** Three significant digits at most, no exponent, thousands apart: 0.0312, 4.56, 78.9, 1 234. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const text = value.toFixed(Math.min(4, Math.max(0, 2 - magnitude)));
  return text.replace(/\B(?=(?:\d{3})+$)/g, text.includes(".") ? "" : " ");
}

/** `median (lowest–highest)`; one value stands alone. Every reader sees how far a figure can be trusted. */
export function describeSamples(values: readonly number[]): string {
  if (values.length === 0) return "–";
  const middle = formatNumber(median(values));
  if (values.length === 1) return middle;
  return `${middle} (${formatNumber(Math.min(...values))}–${formatNumber(Math.max(...values))})`;
}
