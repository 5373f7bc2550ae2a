// Runs one function in a process of its own, one request at a time, for the gateway that started it.
//
// Frames in both directions: two 32-bit big-endian lengths (JSON head, raw body), the head, the body.
//   gateway: {type: "init", env, entry, handler, library}, then {type: "call", call, ...} + request body
//   worker:  {type: "log", stream, text}, {type: "ready"}, {type: "response", call, ...} + body, {type: "error", call, ...}
// `call` is the id of the call that is answered; frames.py refuses an answer of another one.
import { AsyncLocalStorage } from "node:async_hooks";
import dns from "node:dns";
import net from "node:net";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";

const MAX_BODY = 6 * 1024 * 1024;
const LOG_ENTRY = 16 * 1024;
const LOG_TOTAL = 64 * 1024;
const ERROR_TEXT = 32 * 1024;
const NO_BODY_STATUS = new Set([101, 204, 205, 304]);

const token = process.env.RUN402_WORKER_TOKEN;
delete process.env.RUN402_WORKER_TOKEN;
const storage = new AsyncLocalStorage();
let handler = null;
let library = null;
let logBudget = LOG_TOTAL;
let current = null;

// Names below localhost are this machine (RFC 6761), whatever its resolver says: sites of the gateway have such names.
const here = (name) => (/\.localhost\.?$/i.test(name) ? "127.0.0.1" : name);
for (const resolver of [dns, dns.promises]) {
  const { lookup } = resolver;
  resolver.lookup = (name, ...rest) => lookup(here(name), ...rest);
}

const socket = net.connect({ host: "127.0.0.1", port: Number(process.argv[2]), noDelay: true });
socket.on("close", () => process.exit(0));
socket.on("error", () => process.exit(0));

function send(head, body) {
  const text = Buffer.from(JSON.stringify(head.type === "log" ? head : { ...head, call: current }));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(text.length, 0);
  lengths.writeUInt32BE(body ? body.length : 0, 4);
  socket.write(body && body.length ? Buffer.concat([lengths, text, body]) : Buffer.concat([lengths, text]));
}

function capture(stream) {
  process[stream].write = (chunk, encoding, done) => {
    const finished = typeof encoding === "function" ? encoding : done;
    if (logBudget > 0) {
      let text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
      if (text.length > LOG_ENTRY) text = text.slice(0, LOG_ENTRY) + "...[truncated]";
      logBudget -= text.length;
      send({ type: "log", stream, text: logBudget > 0 ? text : text + "\n[output limit of this call reached]\n" });
    }
    if (finished) process.nextTick(finished);
    return true;
  };
}
capture("stdout");
capture("stderr");

function described(error) {
  const cut = (text) => String(text).slice(0, ERROR_TEXT);
  if (error instanceof Error) {
    return { name: cut(error.name), message: cut(error.message), stack: cut(error.stack ?? error) };
  }
  const text = cut(typeof error === "string" ? error : safeJson(error));
  return { name: "Error", message: text, stack: text };
}

function safeJson(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

// After an uncaught error the state of the process is unknown, so it ends; the gateway starts another one.
process.on("uncaughtException", (error) => {
  send({ type: "error", code: "uncaught", ...described(error) });
  socket.end(() => process.exit(1));
});

async function init(message) {
  Object.assign(process.env, message.env);
  // Calls share the process, so the request id cannot be a plain variable.
  process.env = new Proxy(process.env, {
    get: (env, name) => (name === "RUN402_REQUEST_ID" ? storage.getStore()?.requestId : env[name]),
  });
  try {
    // The first use of fetch's classes costs 30 ms: have it behind us while the gateway is not waiting.
    new Request("http://localhost/");
    if (message.library) library = await import(pathToFileURL(message.library));
    const module = await import(pathToFileURL(message.entry));
    handler = chosen(module, message.handler);
    if (typeof handler !== "function") {
      const wanted = message.handler === "default" ? "default export (or an export named handler)" : message.handler;
      throw new TypeError(`the module has no function as its ${wanted}; it exports: ${Object.keys(module).join(", ")}`);
    }
    send({ type: "ready" });
  } catch (error) {
    send({ type: "error", code: "import", ...described(error) });
  }
}

function chosen(module, name) {
  if (name !== "default") return module[name];
  return typeof module.default === "function" ? module.default : module.handler;
}

async function call(message, body) {
  logBudget = LOG_TOTAL;
  current = message.call;
  try {
    await storage.run({ requestId: message.request_id }, () => respond(message, body));
  } catch (error) {
    if (error?.code === "BODY_TOO_LARGE") send({ type: "error", code: "too_large", name: "Error", message: error.message });
    else if (isAuthError(error)) await sendAuthError(error);
    else send({ type: "error", code: "thrown", ...described(error) });
  } finally {
    current = null;
  }
}

async function respond(message, body) {
  const input = message.request ? requestOf(message.request, body) : message.input;
  const result = await inContext(message, input, () => handler(input));
  if (result instanceof Response) return sendResponse(result);
  if (result && typeof result === "object" && typeof result.status === "number") return sendEnvelope(result);
  const text = Buffer.from(JSON.stringify(result ?? null));
  checkSize(text.length);
  send({ type: "response", status: 200, headers: [["content-type", "application/json; charset=utf-8"]] }, text);
}

function requestOf(request, body) {
  const bare = request.method === "GET" || request.method === "HEAD" || body.length === 0;
  const made = new Request(request.url, { method: request.method, headers: request.headers, body: bare ? null : body });
  const extras = {
    version: "run402.routed_http.v1",
    path: request.path,
    rawQuery: request.raw_query,
    cookies: { raw: made.headers.get("cookie") },
    context: request.context,
    routedBody: body.length ? { encoding: "base64", data: body.toString("base64"), size: body.length } : null,
  };
  for (const [name, value] of Object.entries(extras)) Object.defineProperty(made, name, { value, enumerable: false });
  return made;
}

function inContext(message, input, run) {
  if (!library) return run();
  const headers = message.request ? Object.fromEntries(new Headers(message.request.headers)) : {};
  const active = { value: true };
  const context = {
    projectId: process.env.RUN402_PROJECT_ID,
    releaseId: process.env.RUN402_RELEASE_ID,
    requestId: message.request_id,
    host: headers.host ?? "",
    request: { method: message.request?.method ?? "POST", url: message.request?.url ?? "", headers },
    invocationKind: message.kind === "routed_http" ? "routed_http" : "direct",
    actor: message.actor ?? null,
    locale: message.request?.context?.locale ?? null,
    defaultLocale: message.request?.context?.defaultLocale ?? null,
    active,
  };
  return library.runWithContext(context, async () => {
    try {
      const result = await run();
      if (!(result instanceof Response)) return result;
      // A body that is still being produced may call the library: read it while the context is active.
      const { body, ...rest } = await collected(result);
      return new Response(NO_BODY_STATUS.has(result.status) ? null : body, { ...rest, headers: result.headers });
    } finally {
      active.value = false;
    }
  });
}

async function collected(response) {
  const parts = [];
  let size = 0;
  if (response.body) {
    for await (const part of response.body) {
      const chunk = typeof part === "string" ? Buffer.from(part) : part;
      size += chunk.byteLength;
      checkSize(size);
      parts.push(chunk);
    }
  }
  return { status: response.status, statusText: response.statusText, body: Buffer.concat(parts) };
}

function checkSize(size) {
  if (size <= MAX_BODY) return;
  throw Object.assign(new Error(`the response is larger than ${MAX_BODY} bytes`), { code: "BODY_TOO_LARGE" });
}

async function sendResponse(response) {
  const { body } = await collected(response);
  const headers = [...response.headers].filter(([name]) => name !== "set-cookie");
  for (const cookie of response.headers.getSetCookie()) headers.push(["set-cookie", cookie]);
  send({ type: "response", status: response.status, headers }, body);
}

function sendEnvelope(result) {
  if (!(result.status >= 200 && result.status <= 599)) throw new RangeError(`${result.status} is not a response status`);
  const body = result.body ? Buffer.from(String(result.body.data ?? ""), "base64") : Buffer.alloc(0);
  checkSize(body.length);
  const headers = (result.headers ?? []).map(([name, value]) => [String(name).toLowerCase(), String(value)]);
  for (const cookie of result.cookies ?? []) headers.push(["set-cookie", String(cookie)]);
  // Through a Headers object, so that what no HTTP message can carry is refused here.
  for (const [name, value] of headers) new Headers([[name, value]]);
  send({ type: "response", status: result.status, headers }, body);
}

function isAuthError(error) {
  return library && error instanceof Error && /^R402_AUTH_/.test(error.code ?? "") && Number.isInteger(error.status);
}

async function sendAuthError(error) {
  const body = { error: error.code, code: error.code, message: error.message, details: error.details };
  await sendResponse(Response.json(body, { status: error.status }));
}

let pending = Buffer.alloc(0);
let queue = Promise.resolve();
socket.on("data", (data) => {
  pending = pending.length ? Buffer.concat([pending, data]) : data;
  while (pending.length >= 8) {
    const headEnd = 8 + pending.readUInt32BE(0);
    const end = headEnd + pending.readUInt32BE(4);
    if (pending.length < end) return;
    const message = JSON.parse(pending.toString("utf8", 8, headEnd));
    const body = Buffer.from(pending.subarray(headEnd, end));
    pending = pending.subarray(end);
    queue = queue.then(() => (message.type === "init" ? init(message) : call(message, body)));
  }
});
socket.on("connect", () => {
  send({ type: "hello", token });
  // A handler that spins cannot see that the gateway is gone. This thread can: its end of stdin closes.
  new Worker('new (require("net").Socket)({ fd: 0 }).on("close", () => process.kill(process.pid, "SIGKILL")).resume()', {
    eval: true,
    stdin: false,
    env: {},
  }).unref();
});
