// How a script tells its parent what came of it: one JSON file, complete or not there.
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const { stringify } = JSON;
const exit = process.exit.bind(process);

export const started = (folder) => writeFileSync(join(folder, "started"), "");

export function report(folder, outcome) {
  writeFileSync(join(folder, "report.tmp"), stringify(outcome));
  renameSync(join(folder, "report.tmp"), join(folder, "report.json"));
  exit(0);
}

export function failure(stage, error) {
  const plain = (value) => (["string", "number", "boolean"].includes(typeof value) ? value : undefined);
  const fields = error !== null && typeof error === "object" ? error : {};
  const details = fields.details !== null && typeof fields.details === "object" ? fields.details : {};
  return {
    ok: false,
    stage,
    message: String(fields.message ?? error),
    code: plain(fields.code),
    name: plain(details.name ?? fields.variable),
    file: plain(fields.file),
    hint: plain(fields.suggestedFix ?? fields.hint),
    docs: plain(fields.docs),
    observed_version: plain(fields.observedVersion),
  };
}

// The JSON value of a result. Bytes become base64 file entries; what JSON cannot hold is an error that names its place.
export function jsonValue(value, place = "config", above = []) {
  const refuse = (what) => {
    throw new TypeError(`${place} is ${what}`);
  };
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : refuse("not a finite number");
  if (typeof value === "bigint") return refuse("a BigInt");
  if (typeof value === "function") return refuse("a function");
  if (typeof value === "symbol") return refuse("a symbol");
  if (typeof value.then === "function") return refuse("a promise; await it");
  if (above.includes(value)) return refuse("part of itself");
  if (value instanceof Uint8Array) return { data: base64(value), encoding: "base64" };
  const inside = [...above, value];
  if (Array.isArray(value)) return value.map((item, index) => jsonValue(item ?? null, `${place}[${index}]`, inside));
  if (typeof value.toJSON === "function") return jsonValue(value.toJSON(), place, inside);
  if (value instanceof Map || value instanceof Set) return refuse("a Map or Set; use an object or array");
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const plain = Object.fromEntries(entries.map(([key, item]) => [key, jsonValue(item, `${place}.${key}`, inside)]));
  return value.data instanceof Uint8Array ? { ...plain, data: base64(value.data), encoding: "base64" } : plain;
}

const base64 = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
