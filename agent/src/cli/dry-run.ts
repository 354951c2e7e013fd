/** Commands that have no `--dry-run`, and why. A test asks every command that has neither, and is no plain reading of the API. */
export const changesNothing: Record<string, string> = {
  status: "reads",
  "config history": "reads",
  "config export": "reads, and writes files of whoever types",
  "config pending": "reads",
  "backup download": "reads, and writes a file that must not be there",
  "backup new-key": "makes a key on the computer of whoever types",
  "job follow": "reads",
  "job log": "reads",
  events: "reads",
  "directory test": "asks a directory",
  login: "checks who it is; what is kept is a profile of whoever types",
  logout: "there is nothing to check",
  "hash-password": "asks the box nothing",
  completion: "asks the box nothing",
  help: "asks the box nothing",
};
