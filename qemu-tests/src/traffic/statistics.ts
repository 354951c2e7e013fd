/**
 * How far a share of random choices may stray: the expectation and the bound on either side, in connections.
 *
 * Of `total` independent choices a backend with the share p gets a binomial number: mean total·p, standard deviation
 * √(total·p·(1−p)). Five deviations leave a false alarm once in about 1.7 million checks, while a weight that is not obeyed
 * (1:1 where 3:1 was asked) at 400 connections lies more than eleven away.
 */
export function binomialBound(total: number, share: number): { expected: number; tolerance: number } {
  const deviation = Math.sqrt(total * share * (1 - share));
  return { expected: total * share, tolerance: 5 * deviation };
}

export function isWithinBound(count: number, total: number, share: number): boolean {
  const { expected, tolerance } = binomialBound(total, share);
  return Math.abs(count - expected) <= tolerance;
}
