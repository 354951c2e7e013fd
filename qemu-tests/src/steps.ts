import { elapsedSeconds } from "./progress.ts";

const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** Bold and dim where a person looks, plain text in a file or a pipe. */
const isTerminal = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
export const bold = (text: string) => (isTerminal ? `\u001b[1m${text}\u001b[0m` : text);
export const dim = (text: string) => (isTerminal ? `\u001b[2m${text}\u001b[0m` : text);

/** The steps of something a person watches, numbered, each with the time it took. */
export class Steps {
  readonly #total: number;
  #number = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Does one step: its title turns while it lasts on a terminal; elsewhere there is a line at its begin and its end. */
  async run<Value>(title: string, work: () => Promise<Value>): Promise<Value> {
    this.#number++;
    const head = `[${this.#number}/${this.#total}]`;
    const begin = elapsedSeconds();
    const seconds = () => formatSeconds(elapsedSeconds() - begin);
    let frame = 0;
    let timer: NodeJS.Timeout | undefined;
    if (isTerminal) {
      const draw = () => {
        process.stdout.write(`\r\u001b[K${spinner[frame++ % spinner.length]} ${head} ${title} ${dim(seconds())}`);
      };
      draw();
      timer = setInterval(draw, 100);
    } else {
      process.stdout.write(`${head} ${title} …\n`);
    }
    try {
      const value = await work();
      this.#end(
        timer,
        isTerminal ? `\r\u001b[K✓ ${head} ${title} ${dim(`(${seconds()})`)}` : `      done in ${seconds()}`,
      );
      return value;
    } catch (error) {
      this.#end(timer, `${isTerminal ? `\r\u001b[K✗ ${head} ${title}: ` : "      "}failed after ${seconds()}`);
      throw error;
    }
  }

  #end(timer: NodeJS.Timeout | undefined, line: string): void {
    clearInterval(timer);
    process.stdout.write(`${line}\n`);
  }
}

function formatSeconds(seconds: number): string {
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

/** Says a paragraph, indented below its step. */
export function say(text: string): void {
  process.stdout.write(`${text.replace(/^(?=.)/gm, "  ")}\n`);
}
