// Reads entries through REST, adds them through the function behind api/entries, removes one's own through REST.
import { call, signOut, user } from "./session.js";

const element = (id) => document.getElementById(id);

async function load() {
  const query = "select=id,author,message,created_at,user_id&order=id.desc&limit=50";
  const rows = await call(`/rest/v1/entries?${query}`);
  element("entries").replaceChildren(...rows.map(row));
}

function row({ id, author, message, created_at, user_id }) {
  const item = document.createElement("li");
  const when = document.createElement("time");
  when.textContent = ` ${new Date(created_at).toLocaleString()} `;
  item.append(`${author}: ${message}`, when);
  if (user_id && user_id === user()?.id) item.append(removal(id));
  return item;
}

function removal(id) {
  const button = document.createElement("button");
  button.textContent = "Remove";
  button.addEventListener("click", () => act(() => call(`/rest/v1/entries?id=eq.${id}`, { method: "DELETE" })));
  return button;
}

/** Do it, then show the entries as they are now; a refusal is shown where people look for it. */
async function act(change = async () => {}) {
  try {
    await change();
    await load();
    element("problem").textContent = "";
  } catch (error) {
    element("problem").textContent = error.message;
  }
  show();
}

function show() {
  const name = user()?.data?.name || user()?.email;
  element("sign").hidden = element("signed-in").hidden = !name;
  element("signed-out").hidden = Boolean(name);
  element("who").textContent = name ?? "";
}

element("sign").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  act(async () => {
    await call("api/entries", { method: "POST", body: { message: form.message.value } });
    form.reset();
  });
});
element("sign-out").addEventListener("click", () => act(signOut));

show();
act();
