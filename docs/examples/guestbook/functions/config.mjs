// GET /api/config: where the page finds the API, and the anon key of this project, which is public by design.
const { RUN402_API_BASE: url, RUN402_ANON_KEY: anonKey } = process.env;

export default async () => Response.json({ url, anonKey });
