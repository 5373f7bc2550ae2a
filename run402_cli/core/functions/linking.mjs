// What modules export and whether it can be called, told from their sources alone: nothing of them is executed. Names are looked up
// as ECMAScript does it (ResolveExport), so modules may import each other. What the sources cannot say is "unknown", and passes.
import { createRequire, isBuiltin } from "node:module";
import path from "node:path";

const UNKNOWN = { kind: "unknown" };
const ABSENT = { kind: "absent" };
const VALUES = {
  ArrayExpression: "an array",
  ObjectExpression: "an object",
  ClassExpression: "a class",
  ClassDeclaration: "a class",
  TemplateLiteral: "a string",
  BinaryExpression: "a plain value",
  UnaryExpression: "a plain value",
  UpdateExpression: "a plain value",
  ImportExpression: "a promise",
  MetaProperty: "an object",
};

// sources: code by module for those that Node reads as ECMAScript modules; every other module is unknown.
export async function graph(sources) {
  const records = new Map([...sources].map(([key, code]) => [key, recordOf(code)]));
  const builtins = new Map();
  for (const record of records.values()) {
    for (const { specifier } of record?.asked ?? []) {
      if (isBuiltin(specifier) && !builtins.has(specifier)) builtins.set(specifier, await import(specifier).catch(() => null));
    }
  }
  return new Graph(records, builtins);
}

class Graph {
  constructor(records, builtins) {
    this.records = records;
    this.builtins = builtins;
  }

  // {kind}: "local" (with record, local, node), "namespace", "builtin" (with value), "ambiguous", "absent" or "unknown".
  resolve(key, name, seen = new Set()) {
    const builtin = this.builtins.get(key);
    if (builtin) return name in builtin ? { kind: "builtin", key, local: name, value: builtin[name] } : ABSENT;
    const record = this.records.get(key);
    if (!record) return UNKNOWN;
    const visit = `${key}\n${name}`;
    if (seen.has(visit)) return ABSENT; // a circle of re-exports in which nobody has the name
    seen.add(visit);
    const own = record.exports.get(name);
    if (own) return this.target(key, record, own, seen);
    return name === "default" ? ABSENT : this.fromStars(key, record, name, seen);
  }

  target(key, record, own, seen) {
    if (own.node) return { kind: "local", key, record, local: own.local, node: own.node };
    const link = own.specifier ? own : record.imports.get(own.local);
    if (!link) return { kind: "local", key, record, local: own.local };
    if (link.name === "*") return { kind: "namespace", key: keyOf(key, link.specifier), local: "*" };
    return this.resolve(keyOf(key, link.specifier), link.name, seen);
  }

  fromStars(key, record, name, seen) {
    let found = null;
    let open = false;
    for (const specifier of record.stars) {
      const other = this.resolve(keyOf(key, specifier), name, seen);
      if (other.kind === "ambiguous") return other;
      if (other.kind === "unknown") open = true;
      if (other.kind === "unknown" || other.kind === "absent") continue;
      if (found && (found.key !== other.key || found.local !== other.local)) return { kind: "ambiguous" };
      found = other;
    }
    if (open) return UNKNOWN;
    return found ?? ABSENT;
  }

  names(key, seen = new Set()) {
    const builtin = this.builtins.get(key);
    if (builtin) return Object.keys(builtin);
    const record = this.records.get(key);
    if (!record || seen.has(key)) return [];
    seen.add(key);
    const below = record.stars.flatMap((specifier) => this.names(keyOf(key, specifier), seen));
    return [...new Set([...record.exports.keys(), ...below.filter((name) => name !== "default")])];
  }

  // What stops the module or one that it imports from being linked: [{file, name, specifier, kind, loc}].
  unlinkable(key, seen = new Set()) {
    const record = this.records.get(key);
    if (!record || seen.has(key)) return [];
    seen.add(key);
    // Below first: that is where the mistake is when one module passes a name on.
    const found = record.asked.flatMap(({ specifier }) => this.unlinkable(keyOf(key, specifier), seen));
    for (const { specifier, name, loc } of record.asked) {
      const { kind } = name === null || name === "*" ? UNKNOWN : this.resolve(keyOf(key, specifier), name);
      if (kind === "absent" || kind === "ambiguous") found.push({ file: key, name, specifier, kind, loc });
    }
    return found;
  }

  // What an export is when it cannot be called ("a number"), else null.
  uncallable(found, seen = new Set()) {
    if (found.kind === "namespace") return "a namespace (import * as)";
    if (found.kind === "builtin") return typeof found.value === "function" ? null : `of the type ${typeof found.value}`;
    if (found.kind !== "local") return null;
    return found.node ? this.valueOf(found.node, found, seen) : this.bindingOf(found.local, found, seen);
  }

  bindingOf(name, place, seen) {
    const { record, key } = place;
    if (seen.has(`${key}\n${name}`) || record.assigned.has(name) || record.assigned.has("eval")) return null;
    seen.add(`${key}\n${name}`);
    if (record.imports.has(name)) return this.uncallable(this.target(key, record, { local: name }, new Set()), seen);
    if (record.bindings.has(name)) return this.valueOf(record.bindings.get(name), place, seen);
    return name === "undefined" ? "undefined" : null;
  }

  valueOf(node, place, seen) {
    if (node === null) return "undefined"; // let x;
    if (node.type === "Identifier") return this.bindingOf(node.name, place, seen);
    if (node.type === "Literal") return literal(node);
    if (node.type === "SequenceExpression") return this.valueOf(node.expressions.at(-1), place, seen);
    if (node.type === "AssignmentExpression" && node.operator === "=") return this.valueOf(node.right, place, seen);
    if (node.type === "ConditionalExpression") {
      const one = this.valueOf(node.consequent, place, seen);
      return one && this.valueOf(node.alternate, place, seen) ? one : null;
    }
    return VALUES[node.type] ?? null;
  }

  // The line that makes an export of the module its default export.
  asDefault(key, name) {
    const own = this.records.get(key)?.exports.get(name);
    if (!own || own.node || own.name === "*") return null;
    return own.specifier
      ? `export { ${own.name} as default } from ${JSON.stringify(own.specifier)};`
      : `export { ${own.local} as default };`;
  }
}

export function keyOf(from, specifier) {
  return specifier.startsWith(".") ? path.posix.normalize(path.posix.join(path.posix.dirname(from), specifier)) : specifier;
}

function literal(node) {
  if (node.regex) return "a regular expression";
  return node.value === null ? "null" : `a ${typeof node.value}`;
}

// exports: name -> {node, local} of an expression, {local} of a binding, {specifier, name} of another module. imports: local ->
// {specifier, name}. asked: each name that linking needs, null for none. bindings: top-level name -> what it is, null for nothing.
function recordOf(code) {
  const program = parsed(code);
  if (!program) return null;
  const record = { exports: new Map(), imports: new Map(), stars: [], asked: [], bindings: new Map(), assigned: new Set() };
  for (const node of program.body) {
    if (node.type === "ImportDeclaration") addImport(record, node);
    else if (node.type === "ExportAllDeclaration") addStar(record, node);
    else if (node.type === "ExportDefaultDeclaration") addDefault(record, node.declaration);
    else if (node.type === "ExportNamedDeclaration") addNamed(record, node);
    else bind(record, node);
  }
  collectAssigned(program, record.assigned);
  return record;
}

function parsed(code) {
  try {
    // The parser that Node itself has: there with --expose-internals.
    const acorn = createRequire(import.meta.url)("internal/deps/acorn/acorn/dist/acorn");
    return acorn.parse(code, { ecmaVersion: "latest", sourceType: "module", locations: true });
  } catch {
    return null; // V8 has parsed it, so it is newer than this parser: not known
  }
}

const text = (node) => node.name ?? String(node.value);

function addImport(record, node) {
  const specifier = node.source.value;
  if (node.specifiers.length === 0) record.asked.push({ specifier, name: null });
  for (const each of node.specifiers) {
    const named = each.type === "ImportSpecifier" ? text(each.imported) : "default";
    const name = each.type === "ImportNamespaceSpecifier" ? "*" : named;
    record.imports.set(each.local.name, { specifier, name });
    record.asked.push({ specifier, name, loc: each.loc.start });
  }
}

function addStar(record, node) {
  const specifier = node.source.value;
  record.asked.push({ specifier, name: null });
  if (node.exported) record.exports.set(text(node.exported), { specifier, name: "*" });
  else record.stars.push(specifier);
}

function addDefault(record, node) {
  if (node.id && /Declaration$/.test(node.type)) {
    bind(record, node);
    record.exports.set("default", { local: node.id.name });
  } else record.exports.set("default", { local: "*default*", node });
}

function addNamed(record, node) {
  if (node.declaration) for (const name of bind(record, node.declaration)) record.exports.set(name, { local: name });
  const specifier = node.source?.value;
  if (specifier && node.specifiers.length === 0) record.asked.push({ specifier, name: null });
  for (const each of node.specifiers) {
    const name = text(each.local);
    record.exports.set(text(each.exported), specifier ? { specifier, name } : { local: name });
    if (specifier) record.asked.push({ specifier, name, loc: each.loc.start });
  }
}

// Note what a top-level declaration binds; its names.
function bind(record, node) {
  if (node.type === "FunctionDeclaration" || node.type === "ClassDeclaration") {
    record.bindings.set(node.id.name, node);
    return [node.id.name];
  }
  if (node.type !== "VariableDeclaration") return [];
  return node.declarations.flatMap(({ id, init }) => {
    if (record.bindings.has(id.name)) record.assigned.add(id.name); // the second of two `var`
    if (id.type === "Identifier") record.bindings.set(id.name, init);
    return boundBy(id);
  });
}

function boundBy(pattern) {
  if (!pattern) return [];
  if (pattern.type === "Identifier") return [pattern.name];
  if (pattern.type === "ObjectPattern") return pattern.properties.flatMap((each) => boundBy(each.value ?? each.argument));
  if (pattern.type === "ArrayPattern") return pattern.elements.flatMap(boundBy);
  return boundBy(pattern.type === "AssignmentPattern" ? pattern.left : pattern.argument);
}

// Every name that stands where something is assigned, in whichever scope, and "eval", which may assign to any.
function collectAssigned(root, assigned) {
  const rest = [root];
  while (rest.length) {
    const node = rest.pop();
    if (node.type === "Identifier" && node.name === "eval") assigned.add("eval");
    if (["AssignmentExpression", "ForInStatement", "ForOfStatement"].includes(node.type)) addNames(node.left, assigned);
    // A `var` may be declared again, and in a block.
    if (node.type === "VariableDeclaration" && node.kind === "var" && !root.body.includes(node)) addNames(node, assigned);
    for (const value of Object.values(node)) {
      for (const each of Array.isArray(value) ? value : [value]) if (each && typeof each.type === "string") rest.push(each);
    }
  }
}

function addNames(node, assigned) {
  if (node.type === "VariableDeclaration") for (const { id } of node.declarations) boundBy(id).forEach((name) => assigned.add(name));
  else boundBy(node).forEach((name) => assigned.add(name));
}
