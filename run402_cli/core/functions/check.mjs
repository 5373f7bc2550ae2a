// Reads {dir, files: {name: source}} as JSON on stdin, writes what a deploy has to know about them on stdout:
// {modules: {name: {code?, imports}}, problems: [{file, line?, column?, message}]}. Nothing of them is executed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules, stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import vm from "node:vm";

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
