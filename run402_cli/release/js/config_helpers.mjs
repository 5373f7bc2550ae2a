// Helpers for typed configs. Each returns plain manifest JSON.
import { basename, extname } from "node:path";

export const defineConfig = (config) => config;

export const dir = (path, options = {}) => ({ __source: "local-dir", path, ...options });

export const file = (path, options = {}) => {
  const contentType = typeof options === "string" ? options : (options.contentType ?? options.content_type);
  return { __source: "fs-file", path, ...(contentType === undefined ? {} : { contentType }) };
};

export const sqlFile = (path, options = {}) => {
  const named = options.id !== undefined || options.name !== undefined;
  return { ...(named ? {} : { id: basename(path, extname(path)) }), ...options, sql_file: path };
};

export const nodeFunction = (path, options = {}) => ({ runtime: "node22", ...options, source: file(path) });

export const scheduleTrigger = (trigger) => ({ type: "schedule", ...trigger });

export const emailTrigger = (trigger) => ({ type: "email", ...trigger });

export class ConfigEnvRequired extends Error {
  constructor(name) {
    super(`the environment variable ${name} is not set`);
    this.code = "CONFIG_ENV_REQUIRED";
    this.details = { name };
  }
}

export const requireEnv = (name) => {
  const value = process.env[name];
  if (value === undefined || value === "") throw new ConfigEnvRequired(name);
  return value;
};

// How a config asks for a variable is not written down anywhere: env.NAME, env("NAME") and env.require("NAME") all work.
export const environment = () =>
  new Proxy(requireEnv, {
    get(target, key) {
      if (Object.hasOwn(process.env, key)) return process.env[key];
      if (key === "require" || key === "required") return target;
      return key === "optional" || key === "get" ? (name, otherwise) => process.env[name] ?? otherwise : undefined;
    },
    has: (_target, key) => key in process.env,
    ownKeys: () => Reflect.ownKeys(process.env),
    getOwnPropertyDescriptor: (_target, key) =>
      key in process.env ? { value: process.env[key], enumerable: true, configurable: true } : undefined,
  });
