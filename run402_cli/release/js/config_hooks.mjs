// The resolve hook for a Node that has no registerHooks; it runs in a thread of its own.
const helpers = new URL("./config_helpers.mjs", import.meta.url).href;
const names = new Set(["@run402/sdk", "@run402/sdk/node", "@run402/sdk/config", "run402", "run402/config"]);

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (!names.has(specifier)) throw error;
    return { url: helpers, format: "module", shortCircuit: true };
  }
}
