// Reads {dir, files: {name: source}, entry, handler} as JSON on stdin, writes what a deploy has to know about them on stdout:
// {modules: {name: {code?, imports}}, problems: [{file, line?, column?, message, reason?}]}. Nothing of them is executed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules, isBuiltin, stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import vm from "node:vm";

const MARK = "run402 star ";
const isMark = (name) => name.startsWith(MARK);
const MODULE = /\.(?:m?[jt]s)$/;
const input = JSON.parse(await new Response(process.stdin).text());
const modules = {};
const problems = [];

for (const [file, source] of Object.entries(input.files)) {
  if (!MODULE.test(file)) continue;
  const code = parsed(file, source);
  if (code === null) continue;
  const imports = new vm.SourceTextModule(code, { identifier: file }).dependencySpecifiers;
  modules[file] = { imports, ...(code === source ? {} : { code }) };
  for (const name of imports) checkImport(file, name);
}
if (problems.length === 0) await checkEntry(input.entry, input.handler);
process.stdout.write(JSON.stringify({ modules, problems }));

// The source as JavaScript, or null when it is neither JavaScript nor TypeScript.
function parsed(file, source) {
  if (parses(file, source)) return source;
  let code;
  try {
    code = withoutTypes(source);
  } catch (error) {
    problems.push({ file, ...located(String(error.stack)), message: error.message });
    return null;
  }
  if (parses(file, code)) return code;
  problems.push({ file, ...checkedByNode(code) });
  return null;
}

function parses(file, code) {
  try {
    new vm.SourceTextModule(code, { identifier: file });
    return true;
  } catch {
    return false;
  }
}

function withoutTypes(source) {
  try {
    return stripTypeScriptTypes(source, { mode: "strip" });
  } catch (error) {
    // Enums, namespaces and parameter properties need more than leaving types out.
    if (error.code !== "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") throw error;
    return stripTypeScriptTypes(source, { mode: "transform", sourceMap: false });
  }
}

function located(text) {
  const found = /:(\d+)\n([\s\S]*)/.exec(text);
  if (!found) return {};
  const caret = /^( *)\^+$/m.exec(found[2]);
  return { line: Number(found[1]), ...(caret ? { column: caret[1].length + 1 } : {}) };
}

function checkedByNode(code) {
  const folder = mkdtempSync(path.join(tmpdir(), "run402-check-"));
  const file = path.join(folder, "module.mjs");
  writeFileSync(file, code);
  const done = spawnSync(process.execPath, ["--check", file], { encoding: "utf8" });
  rmSync(folder, { recursive: true, force: true });
  const message = /^\w*Error: (.*)$/m.exec(done.stderr);
  return { ...located(done.stderr.slice(done.stderr.indexOf("module.mjs") + 10)), message: message?.[1] ?? done.stderr };
}

function checkImport(file, name) {
  if (/^(?:node|data|https?):/.test(name) || builtinModules.includes(name)) return;
  if (name.startsWith(".")) {
    const wanted = path.posix.normalize(path.posix.join(path.posix.dirname(file), name));
    if (!(wanted in input.files)) problems.push({ file, message: `imports ${name}, which is not among the files` });
    return;
  }
  const folder = name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/");
  if (folder === "@run402/functions" || existsSync(path.join(input.dir, "node_modules", folder))) return;
  problems.push({ file, message: `imports ${name}, which is neither a module of Node nor in deps`, missing: folder });
}

// Whether the entry can be linked and exports what a call needs. What the sources cannot say for certain passes.
async function checkEntry(entry, handler) {
  if (!isLinked(entry)) return;
  const found = await exportsOf(entry);
  if (found.missing) problems.push({ ...found.missing, reason: "missing_export" });
  if (!found.names || found.open || found.names.includes(handler)) return;
  if (handler === "default" && found.names.includes("handler")) return;
  problems.push({ file: entry, message: withoutHandler(handler, found.names), reason: "missing_export" });
}

function withoutHandler(handler, names) {
  const exported = names.length ? `it exports ${names.join(", ")}` : "it exports nothing (module.exports is not an export here)";
  if (handler !== "default") {
    return `has no export ${handler}, which the entrypoint names: ${exported}. Add: export async function ${handler}(req) { ... }`;
  }
  const line = names.length === 1 ? `export { ${names[0]} as default };` : "export default async (req) => { ... };";
  return `has neither a default export nor one named handler: ${exported}. Add: ${line}`;
}

// {names, open} of a module, {missing: {file, message}} when an import in it or below it can never be had, {} when that
// cannot be told. open: `export * from` a module whose names are not known stands in it, so it may export more than `names`.
async function exportsOf(root, above = []) {
  const guessed = new Map(); // opaque module -> the names that are imported from it, as linking asks for them
  for (;;) {
    const attempt = { guessed, modules: new Map(), imports: [] };
    const module = await moduleOf(attempt, root);
    try {
      await module.link((specifier, from) => linked(attempt, specifier, from.identifier));
    } catch (error) {
      const asked = /^The requested module '(.*)' does not provide an export named '(.*)'$/s.exec(error.message);
      if (!asked) return {};
      if (guess(attempt, asked[1], asked[2])) continue;
      return missing(attempt, asked[1], asked[2], [...above, root]);
    }
    // Not Object.keys: that reads the values, which are not there before the module runs.
    const names = Object.getOwnPropertyNames(module.namespace);
    return { names: names.filter((name) => !isMark(name)), open: names.some(isMark) };
  }
}

function linked(attempt, specifier, from) {
  const key = specifier.startsWith(".") ? path.posix.normalize(path.posix.join(path.posix.dirname(from), specifier)) : specifier;
  attempt.imports.push({ specifier, from, key });
  return moduleOf(attempt, key);
}

// One promise for each module of an attempt, since modules import each other.
function moduleOf(attempt, key) {
  if (!attempt.modules.has(key)) attempt.modules.set(key, made(attempt, key));
  return attempt.modules.get(key);
}

async function made(attempt, key) {
  if (isLinked(key)) return new vm.SourceTextModule(modules[key].code ?? input.files[key], { identifier: key });
  // Only `export *` carries the mark on, and no other module has the same one.
  const names = isBuiltin(key) ? await namesOfNode(key) : null;
  const known = names ?? [MARK + key, ...(attempt.guessed.get(key) ?? [])];
  return new vm.SyntheticModule(known, () => {}, { identifier: key });
}

async function namesOfNode(name) {
  try {
    return Object.keys(await import(name));
  } catch {
    return null; // behind a flag that functions may have
  }
}

// Take a name that was asked of a module that is not known for one that it exports; false when there is none such.
function guess(attempt, specifier, name) {
  let added = false;
  for (const { key } of attempt.imports.filter((each) => each.specifier === specifier)) {
    if (isLinked(key) || isBuiltin(key)) continue;
    const names = attempt.guessed.get(key) ?? new Set();
    if (!names.has(name)) added = true;
    attempt.guessed.set(key, names.add(name));
  }
  return added;
}

// What exportsOf says of a name that linking did not find: missing, unless a module that is meant by `specifier` may have more
// names than its sources tell. `above`: the modules that are being looked at, which may import each other.
async function missing(attempt, specifier, name, above) {
  const asking = attempt.imports.filter((each) => each.specifier === specifier);
  for (const { key } of asking) {
    if (isBuiltin(key)) continue;
    const found = isLinked(key) && !above.includes(key) ? await exportsOf(key, above) : {};
    if (!found.names) return found;
    if (found.open) return {};
  }
  const message = `imports ${name} from ${specifier}, which does not export it`;
  return { missing: { file: asking.length === 1 ? asking[0].from : above[0], message } };
}

// Whether Node reads this file of the bundle as a module: by its ending, else by the nearest package.json.
function isLinked(file) {
  if (!(file in modules)) return false;
  if (/\.m[jt]s$/.test(file)) return true;
  for (let folder = path.posix.dirname(file); ; folder = path.posix.dirname(folder)) {
    const manifest = path.join(input.dir, folder, "package.json");
    if (existsSync(manifest)) return typeOf(manifest) === "module";
    if (folder === ".") return false;
  }
}

function typeOf(manifest) {
  try {
    return JSON.parse(readFileSync(manifest, "utf8")).type;
  } catch {
    return null;
  }
}
