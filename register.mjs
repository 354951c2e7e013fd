// Runs TypeScript from source: `node --import ./register.mjs file.ts`. swc strips the types; `make types` checks them.
import { register } from "node:module";

register("ts-node/esm", import.meta.url);
