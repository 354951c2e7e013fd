// Runs TypeScript from source: `node --import ./register.mjs file.ts`. ts-node with swc strips the types; `npm run types` checks them.
import { register } from "node:module";

register("./loader.mjs", import.meta.url);
