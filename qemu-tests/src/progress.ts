const started = Date.now();

/** Seconds since the run began. The namespace's process inherits the moment, so that both count from the same one. */
export function elapsedSeconds(): number {
  const origin = Number(process.env.STEELYARD_LAB_STARTED ?? started);
  return (Date.now() - origin) / 1000;
}

/** The moment the run began, for the environment of the process that goes on with it. */
export function startMoment(): string {
  return process.env.STEELYARD_LAB_STARTED ?? String(started);
}

let quiet = false;

/** No lines of {@link report} from now on: for a program that speaks to a person in its own words. */
export function setQuiet(): void {
  quiet = true;
}

/** Says on standard error what is going on: a plain line with the time since the start. Standard output is TAP's. */
export function report(message: string): void {
  if (quiet) return;
  process.stderr.write(`# ${elapsedSeconds().toFixed(1).padStart(6)}s  ${message}\n`);
}
