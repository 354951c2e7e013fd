/**
 * Loaded when somebody wants YAML. Not `await import("yaml")`: the package is CommonJS to node, and of such a package the
 * bundle gives a dynamic import no names.
 */
export { stringify } from "yaml";
