import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { imageModules, initrdModules } from "./kernel-modules.ts";
import { type Mirror, renderSources } from "./mirror.ts";
import { build, inside } from "./paths.ts";
import type { Profile } from "./profile.ts";

/** The part of mkosi's configuration that follows from the hardware profile. Pure; image/mkosi/mkosi.conf has the rest. */
export function renderMkosiConfiguration(profile: Profile, version: string): string {
  const list = (values: readonly string[]) => values.map((value) => `    ${value}`).join("\n");
  return `# Generated from hardware-profiles/${profile.name}.yaml.
[Output]
ImageId=steelyard-${profile.name}
ImageVersion=${version}

[Build]
Environment=SYSTEMD_REPART_MKFS_OPTIONS_EROFS=-C65536
BuildSources=${inside}/image/initrd:initrd

[Content]
ExtraTrees=${inside}/image/overlay
    ${inside}/build/bundle:/usr/lib/steelyard
KernelCommandLine=
${list([...profile.console.kernel.map((console) => `console=${console}`), ...profile.kernelArguments])}
KernelModulesExclude=.*
KernelModulesInclude=
${list(imageModules(profile))}
KernelModulesInitrdExclude=.*
KernelModulesInitrdInclude=
${list(initrdModules(profile))}
Packages=
${list(profile.packages)}
`;
}

/** What `prepareMkosi` leaves for the run, as paths inside the tools tree. */
export type MkosiRun = { argv: string[]; output: string };

/**
 * Writes the generated configuration and the package sources, and answers with the command. All folders lie in one bind mount:
 * mkosi renames between them, and a rename between mounts would be a copy.
 */
export async function prepareMkosi(
  profile: Profile,
  version: string,
  mirror: Mirror,
  proxy?: string,
): Promise<MkosiRun> {
  const base = join(build, "mkosi", profile.name);
  const shared = join(build, "mkosi");
  // Left behind by a run that was killed.
  await rm(join(shared, "workspace"), { recursive: true, force: true });
  for (const directory of [
    join(base, "include"),
    join(base, "output"),
    join(base, "cache"),
    join(shared, "packages"),
    join(shared, "workspace"),
  ])
    await mkdir(directory, { recursive: true });
  const sources = join(shared, "sandbox/etc/apt/sources.list.d");
  await mkdir(sources, { recursive: true });
  // mkosi would write this file itself, with a debug archive and a security mirror of its own choice; one that is there it leaves alone.
  await writeFile(join(sources, "mkosi.sources"), renderSources(mirror));
  await writeFile(join(base, "include/mkosi.conf"), renderMkosiConfiguration(profile, version));
  const at = `${inside}/build/mkosi`;
  return {
    output: join(base, "output"),
    argv: [
      "mkosi",
      "--force",
      `--directory=${inside}/image/mkosi`,
      `--include=${at}/${profile.name}/include`,
      `--sandbox-tree=${at}/sandbox`,
      `--output-directory=${at}/${profile.name}/output`,
      `--cache-directory=${at}/${profile.name}/cache`,
      `--package-cache-dir=${at}/packages`,
      `--workspace-directory=${at}/workspace`,
      ...(proxy ? [`--proxy-url=${proxy}`] : []),
    ],
  };
}
