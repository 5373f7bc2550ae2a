// Reads {dir, files: {name: source}, entry, handler, anyPackage} as JSON on stdin, writes what a deploy has to know about them on stdout:
// {modules: {name: {code?, imports}}, problems: [{file, line?, column?, message, reason?, missing?}]}. Nothing of them is executed.
// anyPackage: packages are not installed in dir yet, so none is missing.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules, stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import vm from "node:vm";

import { graph } from "./linking.mjs";

const COMMON_NAMES = ["exports", "require", "module", "__filename", "__dirname"];

const input = JSON.parse(await new Response(process.stdin).text());
const modules = {};
const kinds = {};
const problems = [];

for (const [file, source] of Object.entries(input.files)) {
  const found = parsed(file, source);
  if (!found) continue;
  const { code, kind } = found;
  const imports = kind === "esm" ? new vm.SourceTextModule(code, { identifier: file }).dependencySpecifiers : [];
  modules[file] = { imports, ...(code === source ? {} : { code }) };
  kinds[file] = kind;
  for (const name of imports) checkImport(file, name);
}
if (problems.length === 0 && input.entry in modules) await checkEntry(input.entry, input.handler);
process.stdout.write(JSON.stringify({ modules, problems }));

// {code, kind} of a source as JavaScript, or null when it is neither JavaScript nor TypeScript.
function parsed(file, source) {
  const format = formatOf(file);
  const kind = kindOf(format, source);
  if (kind) return { code: source, kind };
  let code;
  try {
    code = withoutTypes(source);
  } catch (error) {
    problems.push({ file, ...located(String(error.stack)), message: error.message });
    return null;
  }
  const stripped = kindOf(format, code);
  if (stripped) return { code, kind: stripped };
  problems.push({ file, ...checkedByNode(code, format === "cjs" ? "cjs" : "mjs") });
  return null;
}

// "cjs" or "esm": as which of the two the code parses, null for neither. Node takes code that may be both for CommonJS.
function kindOf(format, code) {
  if (format !== "esm" && parses(() => vm.compileFunction(code.replace(/^#!/, "//"), COMMON_NAMES))) return "cjs";
  return format !== "cjs" && parses(() => new vm.SourceTextModule(code)) ? "esm" : null;
}

function parses(parse) {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

// How Node reads this file of the bundle: by its ending, else by the nearest package.json; null when by what is in it.
function formatOf(file) {
  if (/\.m[jt]s$/.test(file)) return "esm";
  if (/\.c[jt]s$/.test(file)) return "cjs";
  for (let folder = path.posix.dirname(file); ; folder = path.posix.dirname(folder)) {
    const manifest = path.join(input.dir, folder, "package.json");
    if (existsSync(manifest)) return { module: "esm", commonjs: "cjs" }[typeOf(manifest)] ?? null;
    if (folder === ".") return null;
  }
}

function typeOf(manifest) {
  try {
    return JSON.parse(readFileSync(manifest, "utf8")).type;
  } catch {
    return null;
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

function checkedByNode(code, ending) {
  const folder = mkdtempSync(path.join(tmpdir(), "run402-check-"));
  const file = path.join(folder, `module.${ending}`);
  writeFileSync(file, code);
  const done = spawnSync(process.execPath, ["--check", file], { encoding: "utf8" });
  rmSync(folder, { recursive: true, force: true });
  const message = /^\w*Error: (.*)$/m.exec(done.stderr);
  return { ...located(done.stderr.slice(done.stderr.indexOf(`module.${ending}`) + 10)), message: message?.[1] ?? done.stderr };
}

function checkImport(file, name) {
  if (/^(?:node|data|https?):/.test(name) || builtinModules.includes(name)) return;
  if (name.startsWith(".")) {
    const wanted = path.posix.normalize(path.posix.join(path.posix.dirname(file), name));
    if (!(wanted in input.files)) problems.push({ file, message: `imports ${name}, which is not among the files` });
    return;
  }
  const folder = name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/");
  if (folder === "@run402/functions" || input.anyPackage || existsSync(path.join(input.dir, "node_modules", folder))) return;
  problems.push({ file, message: `imports ${name}, which is neither a module of Node nor in deps`, missing: folder });
}

function codeOf(file) {
  return modules[file].code ?? input.files[file];
}

// Whether the entry can be linked and exports what a call needs. What the sources cannot say for certain passes.
async function checkEntry(entry, handler) {
  if (kinds[entry] === "cjs") return checkCommon(entry, handler);
  const linked = await graph(new Map(Object.keys(modules).filter((file) => kinds[file] === "esm").map((file) => [file, codeOf(file)])));
  const [broken] = linked.unlinkable(entry);
  if (broken) return problems.push({ file: broken.file, ...placed(broken), message: notLinked(broken), reason: "missing_export" });
  const wanted = (handler === "default" ? ["default", "handler"] : [handler]).map((name) => {
    const found = linked.resolve(entry, name);
    return { name, kind: found.kind, what: linked.uncallable(found) };
  });
  const there = wanted.filter(({ kind }) => kind !== "absent" && kind !== "ambiguous");
  if (there.some(({ what }) => what === null)) return;
  if (there.length) problems.push({ file: entry, message: notCallable(there[0], handler), reason: "not_callable" });
  else problems.push({ file: entry, message: withoutHandler(linked, entry, handler), reason: "missing_export" });
}

function notLinked({ name, specifier, kind }) {
  if (kind === "absent") return `imports ${name} from ${specifier}, which does not export it`;
  return `imports ${name} from ${specifier}, which has two different ones by export *. Export one of them there by its name`;
}

// Where types were transformed and not only left out, lines are no longer those of the source.
function placed({ file, loc }) {
  return loc && codeOf(file).length === input.files[file].length ? { line: loc.line, column: loc.column + 1 } : {};
}

function notCallable({ name, what }, handler) {
  const line = handler === "default" ? "export default async (req) => { ... };" : `export async function ${handler}(req) { ... }`;
  const why = what === "a class" ? "which cannot be called without new" : "which cannot be called";
  return `exports ${what} as ${name}, ${why}. Write a function instead: ${line}`;
}

function withoutHandler(linked, entry, handler) {
  const names = linked.names(entry);
  const exported = names.length ? `it exports ${names.join(", ")}` : "it exports nothing (module.exports is not an export here)";
  if (handler !== "default") {
    return `has no export ${handler}, which the entrypoint names: ${exported}. Add: export async function ${handler}(req) { ... }`;
  }
  const only = names.length === 1 && linked.uncallable(linked.resolve(entry, names[0])) === null ? linked.asDefault(entry, names[0]) : null;
  return `has neither a default export nor one named handler: ${exported}. Add: ${only ?? "export default async (req) => { ... };"}`;
}

// CommonJS says what it exports by running. Only what never names an object to export on is sure to export nothing.
function checkCommon(entry, handler) {
  if (/\b(?:module|exports|this|arguments|eval)\b/.test(codeOf(entry).replaceAll(/\\u/g, "this"))) return;
  const line = handler === "default" ? "module.exports = async (req) => { ... };" : `exports.${handler} = async (req) => { ... };`;
  problems.push({ file: entry, message: `is CommonJS and exports nothing. Add: ${line}`, reason: "missing_export" });
}
