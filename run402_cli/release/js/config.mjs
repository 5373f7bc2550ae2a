// Load a configuration program, call it when it is a function, report its value. Arguments: program, its label, folder.
import * as nodeModule from "node:module";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { environment } from "./config_helpers.mjs";
import { failure, jsonValue, report, started } from "./report.mjs";

const [, , program, folder] = process.argv;

useHelpers();
const namespace = await import(pathToFileURL(program).href).catch((error) => report(folder, failure("load", error)));
const exported = pick(namespace);
const kind = typeof exported;
if (exported === null || (kind !== "object" && kind !== "function")) {
  const what = exported === undefined ? "nothing under default or config" : exported === null ? "null" : `a ${kind}`;
  report(folder, { ok: false, stage: "export", message: `it exports ${what}` });
}
started(folder);
let value = exported;
try {
  const context = { manifestPath: program, rootDir: dirname(program), env: environment() };
  value = await (kind === "function" ? exported(context) : exported);
} catch (error) {
  report(folder, failure("evaluate", error));
}
if (value === null || typeof value !== "object" || Array.isArray(value)) {
  const what = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
  report(folder, { ok: false, stage: "export", message: `its value is ${what}, not an object` });
}
try {
  report(folder, { ok: true, value: jsonValue(value) });
} catch (error) {
  report(folder, failure("export", error));
}

// A CommonJS module's exports are the default export of its namespace.
function pick(space) {
  const first = space.default ?? space.config;
  const nested = first !== null && typeof first === "object" && ("default" in first || "config" in first);
  return nested ? (first.default ?? first.config) : first;
}

// A project that has no package with the helpers gets ours; its own always comes first.
function useHelpers() {
  const helpers = new URL("./config_helpers.mjs", import.meta.url).href;
  if (nodeModule.registerHooks) {
    const names = new Set(["@run402/sdk", "@run402/sdk/node", "@run402/sdk/config", "run402", "run402/config"]);
    nodeModule.registerHooks({
      resolve(specifier, context, next) {
        try {
          return next(specifier, context);
        } catch (error) {
          if (!names.has(specifier)) throw error;
          return { url: helpers, format: "module", shortCircuit: true };
        }
      },
    });
  } else {
    nodeModule.register("./config_hooks.mjs", import.meta.url);
  }
}
