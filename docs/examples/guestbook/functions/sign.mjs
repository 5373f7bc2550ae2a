// POST /api/entries {message}: adds an entry for the signed-in user, with the name of their account.
// It writes with the user's own token, not with the service key: row-level security decides here as it does for the page.
const { RUN402_API_BASE: api, RUN402_ANON_KEY: apikey } = process.env;

export default async (req) => {
  const { message } = (await req.json().catch(() => null)) ?? {};
  const text = typeof message === "string" ? message.trim().replace(/\s+/g, " ") : "";
  if (!text || text.length > 500) return refusal("invalid_message", "Send a message of 1 to 500 characters.");
  if (/https?:\/\//i.test(text)) return refusal("no_links", "This guestbook takes no links.");

  const headers = { apikey, authorization: req.headers.get("authorization"), "content-type": "application/json" };
  const found = await fetch(`${api}/auth/v1/user`, { headers });
  if (!found.ok) return passedOn(found);
  const user = await found.json();
  const author = String(user.data?.name || user.email.split("@")[0]).slice(0, 80);
  const body = JSON.stringify({ author, message: text });
  const added = await fetch(`${api}/rest/v1/entries`, {
    method: "POST",
    headers: { ...headers, prefer: "return=representation", accept: "application/vnd.pgrst.object+json" },
    body,
  });
  if (added.ok) console.log("entry added by", user.id);
  return passedOn(added);
};

const refusal = (error, message) => Response.json({ error, message }, { status: 422 });

async function passedOn(answer) {
  return Response.json(await answer.json(), { status: answer.status });
}
