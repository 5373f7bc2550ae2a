// Who is signed in, and requests in their name. The anon key is public by design: row-level security decides.
// One address may serve several projects; the path tells their sessions apart.
const KEY = `session ${new URL(".", location.href).pathname}`;
let refreshing = null;
let config = null;

/** The signed-in user ({id, email, data}), or null. */
export const user = () => stored()?.user ?? null;

export async function signUp(email, password, name) {
  await send("/auth/v1/signup", { method: "POST", body: { email, password, data: { name } } });
  await signIn(email, password);
}

export async function signIn(email, password) {
  keep(await send("/auth/v1/token", { method: "POST", body: { email, password } }));
}

export async function signOut() {
  const { refresh_token } = stored() ?? {};
  keep(null);
  if (refresh_token) await send("/auth/v1/logout", { method: "POST", body: { refresh_token } });
}

/**
 * The JSON of an answer, asked for as the signed-in user; an Error with the gateway's message when it is refused.
 * An address such as "/rest/v1/entries" is one of the gateway's API, one such as "api/entries" a route of this site.
 */
export async function call(address, { method = "GET", body } = {}) {
  try {
    return await send(address, { method, body, token: stored()?.access_token });
  } catch (error) {
    if (error.status !== 401 || !stored()) throw error;
    // A refresh token works once, so calls that fail together must share one refresh.
    refreshing ??= refresh().finally(() => (refreshing = null));
    await refreshing;
    return send(address, { method, body, token: stored()?.access_token });
  }
}

async function refresh() {
  const { refresh_token } = stored();
  keep(null);
  keep(await send("/auth/v1/token?grant_type=refresh_token", { method: "POST", body: { refresh_token } }));
}

async function send(address, { method, body, token }) {
  const { url, anonKey } = await settings();
  const headers = { apikey: anonKey };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  const target = address.startsWith("/") ? `${url}${address}` : address;
  const answer = await fetch(target, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  const document = text ? JSON.parse(text) : null;
  if (!answer.ok) throw Object.assign(new Error(document?.message ?? answer.statusText), { status: answer.status });
  return document;
}

/** {url, anonKey} from the site's own function: the same files work in every project. Asked for once. */
async function settings() {
  if (config) return config;
  const answer = await fetch("api/config");
  if (!answer.ok) throw new Error(`api/config answered ${answer.status}`);
  return (config = await answer.json());
}

// The session ends with the tab.
const stored = () => JSON.parse(sessionStorage.getItem(KEY) ?? "null");

function keep(session) {
  if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
  else sessionStorage.removeItem(KEY);
}
