/** A failure the person at the keyboard can act on: printed without a stack trace. `log` is the file with the tool's full output. */
export class BuildError extends Error {
  readonly log: string | undefined;

  constructor(message: string, options: { log?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "BuildError";
    this.log = options.log;
  }
}
