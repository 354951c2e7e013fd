import { SteelyardError } from "../errors.ts";

/** Who answers is not known to be the box that was meant: nothing was sent to it. */
export class UntrustedError extends SteelyardError {
  constructor(message: string) {
    super("unauthenticated", message);
    this.name = "UntrustedError";
  }
}
