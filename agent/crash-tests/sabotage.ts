import * as fs from "node:fs/promises";

/**
 * Runs `body` while this process does not wait for the disk where it says so: `files` leaves out the contents of files, `all` the
 * names in directories as well. For the sweep's own proof: it has to find what comes of that.
 */
export async function withoutSync<Result>(what: "files" | "all", body: () => Promise<Result>): Promise<Result> {
  const handle = await fs.open("/", "r");
  const methods = Object.getPrototypeOf(handle) as Pick<fs.FileHandle, "sync">;
  await handle.close();
  const { sync } = methods;
  methods.sync = async function (this: fs.FileHandle) {
    if (what === "files" && (await this.stat()).isDirectory()) await sync.call(this);
  };
  try {
    return await body();
  } finally {
    methods.sync = sync;
  }
}
