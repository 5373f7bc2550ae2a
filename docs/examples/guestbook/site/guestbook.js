// Reads and writes the `entries` table through REST. The anon key is public by design: row-level security decides.
const { restUrl, anonKey } = window.RUN402;
const headers = { apikey: anonKey, "Content-Type": "application/json" };

async function load() {
  const answer = await fetch(`${restUrl}/entries?select=author,message,created_at&order=id.desc&limit=50`, { headers });
  const rows = await answer.json();
  if (!answer.ok) throw new Error(rows.message);
  document.getElementById("entries").replaceChildren(...rows.map(row));
}

function row({ author, message, created_at }) {
  const item = document.createElement("li");
  const when = document.createElement("time");
  when.textContent = ` ${new Date(created_at).toLocaleString()}`;
  item.append(`${author}: ${message}`, when);
  return item;
}

function report(error) {
  document.getElementById("problem").textContent = error.message;
}

document.getElementById("sign").addEventListener("submit", async (event) => {
  event.preventDefault();
  const entry = Object.fromEntries(new FormData(event.target));
  const answer = await fetch(`${restUrl}/entries`, { method: "POST", headers, body: JSON.stringify(entry) });
  if (!answer.ok) return report(new Error((await answer.json()).message));
  event.target.reset();
  report({ message: "" });
  await load().catch(report);
});

load().catch(report);
