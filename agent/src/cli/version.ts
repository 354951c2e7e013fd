/** Put in its place when the command is bundled. */
declare const steelyardVersion: string | undefined;

/** Of the command, which may be another than that of the box it drives; `0.0.0` where it was not bundled. */
export const version = typeof steelyardVersion === "string" ? steelyardVersion : "0.0.0";
