// Calls of the published supabase-js against a local gateway. Reads {url, anon, service, modules} as JSON from stdin and
// prints [{name, error}] of all calls: error is null for what answered as it should.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { url, anon, service, modules } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${modules}/`);
const { createClient } = require("@supabase/supabase-js");
const { PostgrestClient } = require("@supabase/postgrest-js");

// Node 20 has no WebSocket, which the client looks for; nothing here uses it.
const still = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: class {} } };
const db = createClient(url, anon, still);
const owner = new PostgrestClient(`${url}/admin/v1/rest`, { headers: { apikey: service, Authorization: `Bearer ${service}` } });
const done = [];

async function call(name, query, expected) {
  try {
    const got = await query();
    if (typeof expected === "function") await expected(got);
    else {
      assert.equal(got.error, null);
      assert.deepEqual(got.data, expected);
    }
    done.push({ name, error: null });
  } catch (problem) {
    done.push({ name, error: String(problem.message ?? problem).slice(0, 600) });
  }
}
const refused = (code, status) => (got) => {
  assert.equal(got.error?.code, code);
  if (status) assert.equal(got.status, status);
};
const books = (columns = "id") => db.from("books").select(columns).order("id");
const ids = (...given) => given.map((id) => ({ id }));

// select
await call("select all", () => db.from("shelves").select().order("id"), [{ id: 1, label: "north" }, { id: 2, label: "south" }, { id: 3, label: "empty" }]);
await call("select columns", () => books("id, title").eq("id", 1), [{ id: 1, title: "Engines" }]);
await call("select alias", () => books("name:title").eq("id", 1), [{ name: "Engines" }]);
await call("select cast", () => books("id::text").eq("id", 1), [{ id: "1" }]);
await call("select json arrow", () => books("meta->lang").eq("id", 1), [{ lang: { code: "en" } }]);
await call("select json text", () => books("code:meta->lang->>code").eq("id", 2), [{ code: "fr" }]);
await call("select array element", () => books("tags->0").eq("id", 1), [{ tags: "math" }]);
await call("select computed column", () => books("label").eq("id", 1), [{ label: "Engines/1" }]);
await call("select quoted name", () => books('"title"').eq("id", 1), [{ title: "Engines" }]);
await call("select count aggregate", () => db.from("books").select("count()"), [{ count: 4 }]);
await call("select grouped aggregate", () => db.from("books").select("author_id, price.max()").eq("author_id", 1), [{ author_id: 1, max: 12.5 }]);
await call("select missing table", () => db.from("missing").select(), refused("PGRST205", 404));
await call("select missing column", () => books("missing"), refused("42703", 400));

// filters
await call("eq", () => books().eq("title", "Sums"), ids(3));
await call("neq", () => books().neq("id", 1), ids(2, 3, 4));
await call("gt lt", () => books().gt("price", 8).lt("price", 20), ids(1));
await call("gte lte", () => books().gte("price", 8).lte("price", 12.5), ids(1, 2));
await call("like", () => books().like("title", "%s"), ids(1, 2, 3));
await call("ilike", () => books().ilike("title", "%EN%"), ids(1, 2));
await call("likeAllOf", () => books().likeAllOf("title", ["%s", "E%"]), ids(1));
await call("likeAnyOf", () => books().likeAnyOf("title", ["E%", "S%"]), ids(1, 3));
await call("ilikeAllOf", () => books().ilikeAllOf("title", ["%S", "e%"]), ids(1));
await call("ilikeAnyOf", () => books().ilikeAnyOf("title", ["e%", "s%"]), ids(1, 3));
await call("regexMatch", () => books().filter("title", "match", "^[ES]"), ids(1, 3));
await call("is null", () => books().is("price", null), ids(4));
await call("isDistinct", () => books().filter("price", "isdistinct", "8"), ids(1, 3, 4));
await call("in", () => books().in("title", ["Sums", "a,b", 'q"uote']), ids(3));
await call("not in", () => books().not("id", "in", "(1,2)"), ids(3, 4));
await call("contains array", () => books().contains("tags", ["math"]), ids(1, 3));
await call("contains json", () => books().contains("meta", { pages: 300 }), ids(2));
await call("containedBy", () => books().containedBy("tags", ["math", "x"]), ids(3, 4));
await call("overlaps", () => books().overlaps("tags", ["old"]), ids(1, 2));
await call("rangeGt", () => books().rangeGt("span", "[1,4)"), ids(2));
await call("rangeGte", () => books().rangeGte("span", "[1,4)"), ids(1, 2));
await call("rangeLt", () => books().rangeLt("span", "[5,9)"), ids(1));
await call("rangeLte", () => books().rangeLte("span", "[5,9)"), ids(1, 2));
await call("rangeAdjacent", () => books().rangeAdjacent("span", "[9,11)"), ids(2));
await call("textSearch", () => books().textSearch("words", "engine", { config: "english" }), ids(1));
await call("textSearch plain", () => books().textSearch("words", "great engines", { type: "plain", config: "english" }), ids(1));
await call("textSearch phrase", () => books().textSearch("words", "great engines", { type: "phrase", config: "english" }), ids(1));
await call("textSearch websearch", () => books().textSearch("words", "engines or thoughts", { type: "websearch", config: "english" }), ids(1, 2));
await call("match", () => books().match({ id: 3, title: "Sums" }), ids(3));
await call("not", () => books().not("price", "is", null), ids(1, 2, 3));
await call("or", () => books().or("id.eq.1,title.eq.Sums"), ids(1, 3));
await call("or with and", () => books().or("id.eq.4,and(id.gt.1,price.lt.10)"), ids(2, 4));
await call("or on embed", () => db.from("authors").select("id, books!books_author_id_fkey!inner(id)").or("id.eq.1,title.eq.Sums", { referencedTable: "books" }).order("id"), [{ id: 1, books: ids(1) }, { id: 3, books: ids(3) }]);
await call("filter json path", () => books().eq("meta->lang->>code", "fr"), ids(2));
await call("filter on instant", () => books().gte("out_at", "2001-01-01T00:00:00+00:00"), ids(1));

// modifiers
await call("order desc nullsFirst", () => db.from("books").select("id").order("price", { ascending: false, nullsFirst: true }), ids(4, 3, 1, 2));
await call("two orders", () => db.from("staff").select("id").order("boss_id", { nullsFirst: false }).order("id", { ascending: false }), ids(3, 2, 1));
await call("limit", () => books().limit(2), ids(1, 2));
await call("range", () => books().range(1, 2), ids(2, 3));
await call("single", () => books("id").eq("id", 1).single(), { id: 1 });
await call("single of none", () => books().eq("id", 99).single(), refused("PGRST116", 406));
await call("single of many", () => books().single(), refused("PGRST116", 406));
await call("maybeSingle", () => books().eq("id", 1).maybeSingle(), { id: 1 });
await call("maybeSingle of none", () => books().eq("id", 99).maybeSingle(), null);
await call("maybeSingle of many", () => books().maybeSingle(), refused("PGRST116"));
await call("csv", () => books("id,title").limit(2).csv(), "id,title\n1,Engines\n2,Pensees");
await call("stripNulls", () => books("id,price").eq("id", 4).stripNulls(), ids(4));
await call("abortSignal", () => db.rpc("slow").abortSignal(AbortSignal.timeout(200)), (got) => assert.ok(got.error));
await call("throwOnError", () => books().eq("id", "x").throwOnError().then(() => "none", (error) => error.code), (got) => assert.equal(got, "22P02"));
await call("setHeader", () => books().eq("id", 1).setHeader("x-mine", "1"), ids(1));
await call("count exact", () => db.from("books").select("id", { count: "exact" }).limit(1).order("id"), (got) => assert.deepEqual([got.count, got.data], [4, ids(1)]));
await call("count head", () => db.from("books").select("*", { count: "exact", head: true }), (got) => assert.deepEqual([got.count, got.data, got.error], [4, null, null]));
await call("count planned", () => db.from("books").select("id", { count: "planned" }), (got) => assert.ok(Number.isInteger(got.count)));
await call("count estimated", () => db.from("books").select("id", { count: "estimated" }), (got) => assert.equal(got.count, 4));
await call("explain text", () => owner.from("books").select("id").explain(), (got) => assert.match(got.data ?? JSON.stringify(got.error), /Scan/));
await call("explain json analyze", () => owner.from("books").select("id").explain({ format: "json", analyze: true }), (got) => assert.ok(got.data?.[0]?.Plan, JSON.stringify(got.error)));
await call("explain with the anon key", () => books().explain(), (got) => assert.equal(got.status, 406));

// embeds
await call("embed to one", () => books("id, author:authors!author_id(name)").eq("id", 1), [{ id: 1, author: { name: "Ada" } }]);
await call("embed by column", () => books("id, author_id(name)").eq("id", 1), [{ id: 1, author_id: { name: "Ada" } }]);
await call("embed by constraint", () => books("id, authors!books_editor_id_fkey(name)").eq("id", 1), [{ id: 1, authors: { name: "Blaise" } }]);
await call("embed ambiguous", () => books("id, authors(name)"), refused("PGRST201", 300));
await call("embed to many", () => db.from("authors").select("name, books!author_id(id)").eq("id", 2), [{ name: "Blaise", books: ids(2) }]);
await call("embed many to many", () => books("id, shelves(label)").eq("id", 2), [{ id: 2, shelves: [{ label: "north" }, { label: "south" }] }]);
await call("embed nested", () => db.from("shelves").select("label, books(title, author:authors!author_id(name))").eq("id", 2), [{ label: "south", books: [{ title: "Pensees", author: { name: "Blaise" } }] }]);
await call("embed inner", () => db.from("shelves").select("id, books!inner(id)").eq("books.id", 2).order("id"), [{ id: 1, books: ids(2) }, { id: 2, books: ids(2) }]);
await call("embed filter", () => db.from("shelves").select("id, books(id)").gt("books.id", 2).eq("id", 1), [{ id: 1, books: ids(3) }]);
await call("embed order and limit", () => db.from("shelves").select("id, books(id)").eq("id", 1).order("id", { referencedTable: "books", ascending: false }).limit(2, { referencedTable: "books" }), [{ id: 1, books: ids(3, 2) }]);
await call("embed count", () => db.from("shelves").select("id, books(count)").order("id"), [{ id: 1, books: [{ count: 3 }] }, { id: 2, books: [{ count: 1 }] }, { id: 3, books: [{ count: 0 }] }]);
await call("embed is null", () => db.from("shelves").select("id, books()").is("books", null), ids(3));
await call("order by embed", () => books("id, author:authors!author_id(name)").not("author", "is", null).order("author(name)", { ascending: false }), (got) => assert.equal(got.data?.length, 3));
await call("embed below itself", () => db.from("staff").select("name, team:staff!boss_id(name)").eq("id", 1), [{ name: "Boss", team: [{ name: "Left" }, { name: "Right" }] }]);
await call("embed above itself", () => db.from("staff").select("name, boss:boss_id(name)").eq("id", 2), [{ name: "Left", boss: { name: "Boss" } }]);
await call("filter on the embedded column", () => books("id, author_id(name)").eq("author_id", 2), [{ id: 2, author_id: { name: "Blaise" } }]);
await call("spread to one", () => books("id, ...authors!author_id(writer:name)").eq("id", 1), [{ id: 1, writer: "Ada" }]);
await call("spread to many", () => db.from("authors").select("name, ...books!author_id(titles:title)").eq("id", 1), [{ name: "Ada", titles: ["Engines"] }]);
await call("aggregate in a spread", () => db.from("books").select("...authors!author_id(name), price.sum()").eq("author_id", 1), [{ name: "Ada", sum: 12.5 }]);
await call("computed relationship", () => books("id, shelf_list(label)").eq("id", 2), [{ id: 2, shelf_list: [{ label: "north" }, { label: "south" }] }]);

// writes
const gone = (got) => assert.deepEqual([got.error, got.data], [null, null]);
await call("insert", () => db.from("shelves").insert({ id: 10, label: "ten" }), (got) => assert.deepEqual([got.error, got.data, got.status], [null, null, 201]));
await call("insert and select", () => db.from("shelves").insert({ id: 11, label: "eleven" }).select(), [{ id: 11, label: "eleven" }]);
await call("insert and select one", () => db.from("shelves").insert({ id: 12, label: "twelve" }).select("label").single(), { label: "twelve" });
await call("insert many", () => db.from("shelves").insert([{ id: 13, label: "a" }, { id: 14, label: "b" }], { count: "exact" }), (got) => assert.deepEqual([got.error, got.count], [null, 2]));
await call("insert missing default", () => db.from("pairs").insert([{ a: 2, b: 1, note: "x" }, { a: 2, b: 2 }], { defaultToNull: false }).select("note"), [{ note: "x" }, { note: "none" }]);
await call("insert missing null", () => db.from("pairs").insert([{ a: 3, b: 1, note: "x" }, { a: 3, b: 2 }]).select("note"), [{ note: "x" }, { note: null }]);
await call("insert identity default", () => db.from("authors").insert([{ name: "Dora" }, { id: 50, name: "Emil" }], { defaultToNull: false }).select("name"), [{ name: "Dora" }, { name: "Emil" }]);
await call("insert twice", () => db.from("shelves").insert({ id: 10, label: "again" }), refused("23505", 409));
await call("insert unknown column", () => db.from("shelves").insert({ id: 15, nope: 1 }), refused("PGRST204", 400));
await call("insert and embed", () => db.from("book_shelf").insert({ book_id: 3, shelf_id: 10 }).select("books(title)"), [{ books: { title: "Sums" } }]);
await call("upsert", () => db.from("shelves").upsert({ id: 10, label: "TEN" }).select(), [{ id: 10, label: "TEN" }]);
await call("upsert without select", () => db.from("shelves").upsert({ id: 16, label: "s" }), gone);
await call("upsert ignoring duplicates", () => db.from("shelves").upsert([{ id: 10, label: "no" }, { id: 17, label: "s" }], { ignoreDuplicates: true }).select(), [{ id: 17, label: "s" }]);
await call("upsert on conflict", () => db.from("authors").upsert({ name: "Ada", born: 1816 }, { onConflict: "name", defaultToNull: false }).select("id,born"), [{ id: 1, born: 1816 }]);
await call("upsert compound key", () => db.from("pairs").upsert([{ a: 1, b: 1, note: "uno" }, { a: 9, b: 9, note: "new" }]).select("note"), [{ note: "uno" }, { note: "new" }]);
await call("update", () => db.from("shelves").update({ label: "x" }).eq("id", 11), (got) => assert.deepEqual([got.error, got.data, got.status], [null, null, 204]));
await call("update and select", () => db.from("shelves").update({ label: "y" }).eq("id", 11).select(), [{ id: 11, label: "y" }]);
await call("update none", () => db.from("shelves").update({ label: "y" }).eq("id", 999).select(), []);
await call("update count", () => db.from("shelves").update({ label: "z" }, { count: "exact" }).in("id", [13, 14]), (got) => assert.equal(got.count, 2));
await call("update single", () => db.from("shelves").update({ label: "w" }).eq("id", 12).select("id").single(), { id: 12 });
await call("update maxAffected", () => db.from("shelves").update({ label: "z" }).gte("id", 13).maxAffected(1), refused("PGRST124", 400));
await call("rollback", () => db.from("shelves").delete().gte("id", 0).rollback().select("id"), refused("23503", 409));
await call("rollback of an update", () => db.from("shelves").update({ label: "never" }).eq("id", 1).rollback().select("label"), [{ label: "never" }]);
await call("after a rollback", () => db.from("shelves").select("label").eq("id", 1), [{ label: "north" }]);
await call("delete", () => db.from("shelves").delete().eq("id", 17), (got) => assert.deepEqual([got.error, got.data, got.status], [null, null, 204]));
await call("delete and select", () => db.from("shelves").delete().eq("id", 16).select(), [{ id: 16, label: "s" }]);
await call("delete count", () => db.from("shelves").delete({ count: "exact" }).in("id", [13, 14]), (got) => assert.equal(got.count, 2));
await call("write refused by policy", () => db.from("notes").insert({ body: "no" }), (got) => assert.equal(got.error?.code, "42501"));

// rpc
await call("rpc", () => db.rpc("add", { a: 1, b: 2 }), 3);
await call("rpc default", () => db.rpc("add", { a: 1 }), 11);
await call("rpc get", () => db.rpc("add", { a: 1, b: 2 }, { get: true }), 3);
await call("rpc get array", () => db.rpc("joined", { parts: ["a", "b"] }, { get: true }), "a-b");
await call("rpc array", () => db.rpc("joined", { parts: ["a", "b"] }), "a-b");
await call("rpc json", () => db.rpc("keep", { body: { a: [1] } }), { a: [1] });
await call("rpc void", () => db.rpc("nothing"), null);
await call("rpc setof scalar", () => db.rpc("evens", { upto: 4 }), [2, 4]);
await call("rpc table", () => db.rpc("squares", { upto: 2 }), [{ n: 1, square: 1 }, { n: 2, square: 4 }]);
await call("rpc table filtered", () => db.rpc("squares", { upto: 5 }).select("square").gt("n", 3).order("n", { ascending: false }).limit(1), [{ square: 25 }]);
await call("rpc rows with embed", () => db.rpc("books_over", { minimum: 10 }).select("id, author:authors!author_id(name)").order("id"), [{ id: 1, author: { name: "Ada" } }, { id: 3, author: { name: "Carl" } }]);
await call("rpc single", () => db.rpc("books_over", { minimum: 15 }).select("id").single(), { id: 3 });
await call("rpc count", () => db.rpc("books_over", { minimum: 5 }, { count: "exact" }), (got) => assert.equal(got.count, 3));
await call("rpc head", () => db.rpc("books_over", { minimum: 5 }, { head: true, count: "exact" }), (got) => assert.deepEqual([got.count, got.data], [3, null]));
await call("rpc csv", () => db.rpc("squares", { upto: 1 }).csv(), "n,square\n1,1");
await call("rpc error", () => db.rpc("fail"), (got) => assert.deepEqual([got.error.code, got.error.details, got.error.hint, got.status], ["P0001", "the detail", "the hint", 400]));
await call("rpc missing", () => db.rpc("missing"), refused("PGRST202", 404));
await call("rpc wrong argument", () => db.rpc("add", { c: 1 }), refused("PGRST202", 404));

// schemas
await call("schema public", () => db.schema("public").from("books").select("id").eq("id", 1), ids(1));
await call("schema of nobody", () => db.schema("private").from("books").select("id"), refused("PGRST106", 406));

// users
const email = `ada${Date.now()}@example.com`;
const password = "correct horse battery";
await call("signUp", () => db.auth.signUp({ email, password, options: { data: { name: "Ada" } } }), (got) => assert.deepEqual([got.error, got.data.user?.email], [null, email]));
await call("signUp twice", () => db.auth.signUp({ email, password }), (got) => assert.equal(got.error?.status, 409));
await call("signIn wrong", () => db.auth.signInWithPassword({ email, password: "wrong password" }), (got) => assert.equal(got.error?.status, 401));
await call("signIn", () => db.auth.signInWithPassword({ email, password }), (got) => assert.deepEqual([got.error, got.data.user?.email, got.data.session?.token_type], [null, email, "bearer"]));
await call("getSession", () => db.auth.getSession(), (got) => assert.ok(got.data.session?.access_token));
await call("getUser", () => db.auth.getUser(), (got) => assert.deepEqual([got.error, got.data.user?.email], [null, email]));
await call("own rows", () => db.from("notes").insert({ body: "mine" }).select("body"), [{ body: "mine" }]);
await call("updateUser data", () => db.auth.updateUser({ data: { color: "red" } }), (got) => assert.deepEqual([got.error, got.data.user?.data], [null, { name: "Ada", color: "red" }]));
await call("updateUser password", () => db.auth.updateUser({ password: "another password" }), (got) => assert.equal(got.error, null));
await call("updateUser email", () => db.auth.updateUser({ email: "new@example.com" }), (got) => assert.equal(got.error?.status, 400));
await call("refreshSession", () => db.auth.refreshSession(), (got) => assert.deepEqual([got.error, got.data.user?.email], [null, email]));
await call("signInWithOtp", () => db.auth.signInWithOtp({ email, options: { shouldCreateUser: false, emailRedirectTo: "http://localhost:3000/" } }), (got) => assert.equal(got.error, null));
await call("resetPasswordForEmail", () => db.auth.resetPasswordForEmail("nobody@example.com"), (got) => assert.equal(got.error, null));
await call("signOut", () => db.auth.signOut(), (got) => assert.equal(got.error, null));
await call("getUser signed out", () => db.auth.getUser(), (got) => assert.ok(got.error));
await call("signInAnonymously", () => db.auth.signInAnonymously({ options: { data: { cart: 1 } } }), (got) => assert.deepEqual([got.error, got.data.user?.is_anonymous], [null, true]));
await call("rows of an anonymous user", () => db.from("notes").insert({ body: "guest" }).select("body"), [{ body: "guest" }]);
await call("signOut everywhere", () => db.auth.signOut({ scope: "global" }), (got) => assert.equal(got.error, null));

console.log(JSON.stringify(done));
process.exit(0);
