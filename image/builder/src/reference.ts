import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build as bundleWithEsbuild } from "esbuild";
import { repository } from "./paths.ts";

const compress = promisify(gzip);

/** Lays the page of the API's reference into a directory: Swagger UI, and the script of ours that starts it. */
export async function layReference(output: string): Promise<void> {
  const from = join(repository, "node_modules", "swagger-ui-dist");
  await mkdir(output, { recursive: true });
  // The licences of Swagger UI, and of what is bundled in it, go with it.
  const licences = ["LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"];
  for (const name of ["swagger-ui.css", "swagger-ui-bundle.js", ...licences])
    await cp(join(from, name), join(output, name));
  await bundleWithEsbuild({
    entryPoints: [join(repository, "agent/src/api/reference/start.ts")],
    outfile: join(output, "start.js"),
    bundle: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    logLevel: "silent",
  });
  for (const name of ["swagger-ui.css", "swagger-ui-bundle.js", "start.js"])
    await writeFile(join(output, `${name}.gz`), await compress(await readFile(join(output, name)), { level: 9 }));
}
