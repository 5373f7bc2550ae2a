"""The console: what a person sees of the projects, who may look, and what no page may show or do."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import deploy_kit
import httpx
import psycopg
import pytest
from database_kit import owner_of
from functions_kit import Functions
from gateway_kit import CONTROL, Live
from psycopg import sql

from run402_cli.core.console.routes import PAGES
from run402_cli.core.sql import reading as sql_reading

ROOT = "/_run402/"
PERSON = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
# An element of its own, an attribute broken out of, a comment, a handler.
HOSTILE = "<xss-x onclick=alert(1)>\"'><xss-y>&lt;<!--</textarea></title></style>"
SECRET = "planted-secret-4711"


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


def look(client: httpx.Client, path: str, **query: Any) -> httpx.Response:
    return client.get(path if path.startswith("/") else ROOT + path, headers=PERSON, params=query or None)


def walk(client: httpx.Client) -> dict[str, httpx.Response]:
    """Every page that links lead to, from the first one."""
    found: dict[str, httpx.Response] = {}
    waiting = [ROOT]
    while waiting:
        path = waiting.pop()
        if path in found or len(found) > 150:
            continue
        found[path] = look(client, path)
        waiting += [link for link in Seen(found[path].text).links if link.startswith(ROOT)]
    return found


@pytest.fixture
def home(project: dict[str, Any]) -> str:
    return f"projects/{project['project_id']}"


def run(database_url: str, query: str, *values: Any) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(query.encode(), values)


def in_schema(database_url: str, project: dict[str, Any], query: str, *names: str) -> None:
    """A statement with {} for the schema and then for each name."""
    made = sql.SQL(query).format(*map(sql.Identifier, (project["schema_slot"], *names)))  # type: ignore[arg-type]
    with psycopg.connect(owner_of(database_url, project["schema_slot"]), autocommit=True) as conn:
        conn.execute(made)


@pytest.fixture
def crowded(client: httpx.Client, project: dict[str, Any], service: dict[str, str], database_url: str) -> list[str]:
    """A project with a hostile text wherever one can be, and secrets planted: the texts that no page may have."""
    project_id = project["project_id"]
    functions = Functions(client, project)
    functions.deploy(
        {"fn": f"export default async () => {{ console.log({json.dumps(HOSTILE)}); throw new Error('x') }}"}
    )
    functions.set_secret("API_TOKEN", SECRET)
    functions.call("fn", headers={**functions.anon, "authorization": f"Bearer {client_token(client, project)}"})
    page = f"<title>{HOSTILE}</title>".encode()
    deploy_kit.deploy(
        client,
        {
            "project_id": project_id,
            "site": {"replace": deploy_kit.site({"index.html": page, "it's & <b>.html": page})},
        },
        page,
    )
    name = HOSTILE[:60]
    in_schema(database_url, project, "CREATE TABLE {}.{} (id int PRIMARY KEY, {} text)", name, HOSTILE[:50])
    in_schema(database_url, project, "ALTER TABLE {}.{} ENABLE ROW LEVEL SECURITY", name)
    with psycopg.connect(database_url, autocommit=True) as conn:
        table = sql.Identifier(project["schema_slot"], name)
        conn.execute(sql.SQL("INSERT INTO {} VALUES (1, {}), (2, NULL)").format(table, sql.Literal(HOSTILE)))
        condition = sql.SQL("{} <> {}").format(sql.Identifier(HOSTILE[:50]), sql.Literal(HOSTILE))
        policy = sql.SQL("CREATE POLICY {} ON {} USING ({})").format(sql.Identifier(HOSTILE[:55]), table, condition)
        conn.execute(policy)
    signed = client.post(
        "/auth/v1/signup",
        headers={"apikey": project["anon_key"]},
        json={"email": "ada@example.com", "password": f"{SECRET}-password", "data": {"note": SECRET}},
    )
    assert signed.status_code == 201, signed.text
    with psycopg.connect(database_url, autocommit=True) as conn:
        row = conn.execute("SELECT password_hash FROM internal.core_auth_users").fetchone()
        assert row is not None
        hashed = str(row[0])
    run(database_url, "UPDATE internal.core_auth_users SET email = %s", f"{HOSTILE}@example.com")
    run(database_url, "UPDATE internal.core_projects SET name = %s", HOSTILE)
    box = client.post("/mailboxes/v1", headers=service, json={"slug": "news"}).json()
    letter = {"to": "ada@example.com", "subject": HOSTILE, "html": f"<p>{HOSTILE}</p>"}
    sent = client.post(f"/mailboxes/v1/{box['mailbox_id']}/messages", headers=service, json=letter)
    assert sent.status_code == 201, sent.text
    told = {"event_type": "thing_happened", "payload": {HOSTILE: HOSTILE}}
    assert client.post(f"/projects/v1/{project_id}/events", headers=service, json=told).status_code == 201
    run(
        database_url,
        "INSERT INTO internal.core_payments VALUES (%s, 'n', 100000, %s, 't')",
        HOSTILE,
        HOSTILE,
    )
    run(
        database_url,
        "INSERT INTO internal.core_storage_objects VALUES (%s, %s, %s, 1, %s, 'public', false)",
        *(project_id, HOSTILE, "0" * 64, HOSTILE),
    )
    issued = client.post(
        f"/projects/v1/{project_id}/credentials", headers=service, json={"kind": "service", "name": "ci"}
    )
    keys = [value for value in _texts(issued.json()) if value.startswith("r402_")] if issued.is_success else []
    assert keys, issued.text
    return [SECRET, hashed, project["anon_key"], project["service_key"], *keys]


def client_token(client: httpx.Client, project: dict[str, Any]) -> str:
    made = client.post("/auth/v1/dev-tokens", json={"project_id": project["project_id"]})
    return str(made.json()["token"])


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def test_nothing_of_the_data_becomes_markup_and_no_secret_is_shown(
    client: httpx.Client, live: Live, project: dict[str, Any], crowded: list[str], home: str
) -> None:
    live.run(live.gateway.functions.logs.flush())
    run(live.database_url, "UPDATE internal.core_function_logs SET function_name = 'fn', stream = %s", HOSTILE[:20])
    run(live.database_url, "UPDATE internal.core_faults SET message_template = %s, error_name = %s", HOSTILE, HOSTILE)
    pages = walk(client)
    kinds = {
        urlsplit(path).path.removeprefix(ROOT + home).split("/")[1:2][0]
        for path in pages
        if path.startswith(ROOT + home + "/")
    }
    assert kinds == {"tables", "table", "sql", "users", "functions", "releases", "assets", "mail", "events"}
    assert f"{ROOT}{home}/functions/fn" in pages
    hostile_pages = 0
    for path, answer in pages.items():
        assert answer.status_code == 200, path
        seen = Seen(answer.text)
        assert not {tag for tag in seen.tags if tag.startswith("xss")}, path
        assert seen.tags <= {
            *(
                "html",
                "head",
                "meta",
                "title",
                "style",
                "body",
                "header",
                "strong",
                "main",
                "nav",
                "a",
                "h1",
                "h2",
                "p",
            ),
            *("div", "span", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "time", "br", "ul", "li"),
            *("form", "input", "textarea", "button", "iframe"),
        }, path
        assert not {name for name in seen.attributes if name.startswith("on")}, path
        hostile_pages += "xss-x" in seen.words
        for secret in crowded:
            assert secret not in answer.text, (path, secret[:12])
    # On the lists and the pages that hold such a text it is there, as text.
    assert hostile_pages >= 12
    assert "API_TOKEN" in pages[f"{ROOT}{home}/functions"].text
    assert HOSTILE in Seen(pages[f"{ROOT}{home}/users"].text).words
    assert HOSTILE in Seen(pages[f"{ROOT}payments"].text).words
    assert HOSTILE in Seen(pages[f"{ROOT}{home}/functions/fn"].text).words


def test_every_page_has_the_headers_that_shut_it_off(client: httpx.Client, home: str) -> None:
    addresses = [
        path.replace("projects/{project_id}", home) for path in PAGES if "name" not in path and "rest" not in path
    ]
    for path in [*addresses, "mail", "nothing/here", f"{home}/nothing"]:
        answer = look(client, path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-"), path
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "sandbox " in policy
        assert "allow-scripts" not in policy
        # With an origin, whatever else has that one could read it.
        assert "allow-same-origin" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "console.example.com"},
        {"Host": "127.0.0.1.example.com"},
        {"Origin": "http://127.0.0.1:4020"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_pages_of_others_do_not_get_it(
    client: httpx.Client, project: dict[str, Any], home: str, headers: dict[str, str], keyed: bool
) -> None:
    given = {**headers, **({"apikey": project["service_key"]} if keyed else {})}
    for path in ("", home, f"{home}/sql"):
        answer = client.get(ROOT + path, headers=given)
        assert (answer.status_code, answer.json()["code"]) == (403, "ORIGIN_FORBIDDEN")


def test_a_person_and_a_program_get_it(client: httpx.Client, live: Live) -> None:
    for headers in (
        PERSON,
        {},
        {**PERSON, "Sec-Fetch-Site": "same-origin"},
        {**PERSON, "Sec-Fetch-Site": "cross-site"},
    ):
        assert client.get(ROOT, headers=headers).status_code == 200
    moved = client.get(ROOT.rstrip("/"), headers=PERSON)
    assert (moved.status_code, moved.headers["location"]) == (308, ROOT)
    assert client.get("/").json()["console_url"] == f"{live.base_url}{ROOT}"
    assert client.post(ROOT, headers={}).status_code == 405


@pytest.mark.parametrize(
    ("peer", "status"),
    [("127.0.0.2", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("192.0.2.7", 403), ("", 403), ("localhost", 403)],
)
def test_only_this_machine_is_answered(live: Live, peer: str, status: int) -> None:
    from run402_cli.core.app import create_app

    transport = httpx.ASGITransport(create_app(live.gateway), client=(peer, 1))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as caller:
            return await caller.get(ROOT, headers=CONTROL)

    assert live.run(ask()).status_code == status


@pytest.mark.parametrize(
    "path", ["nothing", "projects/prj_0000000000000000", "projects/%3Cscript%3E", "projects/prj_0000000000000000/sql"]
)
def test_what_is_not_there_is_a_page_with_ways_on(client: httpx.Client, path: str) -> None:
    answer = look(client, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert ROOT in Seen(answer.text).links
    assert "script" not in Seen(answer.text).tags


@pytest.mark.parametrize("path", ["table?name=nope", "table", "functions/nope", "releases/rel_nope", "nope"])
def test_what_a_project_does_not_have_is_not_found(client: httpx.Client, home: str, path: str) -> None:
    answer = look(client, f"{ROOT}{home}/{path}")
    assert (answer.status_code, "Not found" in answer.text) == (404, True)


def test_an_empty_project_says_so_everywhere(client: httpx.Client, home: str) -> None:
    for section in ("tables", "users", "functions", "releases", "assets", "mail", "events"):
        answer = look(client, f"{home}/{section}")
        assert answer.status_code == 200
        assert '<p class="dim">No' in answer.text, section


def test_a_long_table_is_shown_page_by_page(
    client: httpx.Client, project: dict[str, Any], database_url: str, home: str
) -> None:
    in_schema(database_url, project, "CREATE TABLE {}.long (id int PRIMARY KEY, body text)")
    in_schema(
        database_url, project, "INSERT INTO {}.long SELECT n, repeat('y', 100000) FROM generate_series(130, 1, -1) n"
    )
    pages = [look(client, f"{home}/table", name="long", page=number).text for number in (1, 2, 3, 4)]
    assert [page.count("yyy…") for page in pages] == [50, 50, 30, 0]
    # In the order of the primary key, not of the disk; no page has a whole value.
    assert '<td class="short">1</td>' in pages[0]
    assert '<td class="short">130</td>' in pages[2]
    assert all(len(page) < 60_000 for page in pages)
    assert ["Next" in page for page in pages] == [True, True, False, False]
    assert ["Back" in page for page in pages] == [False, True, True, True]
    for odd in ("0", "-1", "x", "9" * 30, "1%00"):
        assert look(client, f"{ROOT}{home}/table?name=long&page={odd}").status_code == 200


@pytest.mark.parametrize("count", [0, 120])
def test_lists_of_any_length_are_paged(
    client: httpx.Client, project: dict[str, Any], database_url: str, home: str, count: int
) -> None:
    for query in (
        "INSERT INTO internal.core_auth_users (project_id, user_id, email) SELECT %s, 'u' || n, 'u' || n || '@example.com'"
        " FROM generate_series(1, %s) n",
        "INSERT INTO internal.core_project_events (event_id, project_id, event_type, class, source, payload)"
        " SELECT 'evt_' || n, project_id, 'came', 'app', 'app', '{}' FROM internal.core_projects, generate_series(1, %s) n"
        " WHERE project_id = %s",
    ):
        values = (project["project_id"], count) if "auth_users" in query else (count, project["project_id"])
        run(database_url, query, *values)
    run(
        database_url,
        "INSERT INTO internal.core_storage_objects SELECT %s, 'f' || n, repeat('0', 64), 1, 'text/plain', 'private', false"
        " FROM generate_series(1, %s) n",
        *(project["project_id"], count),
    )
    for section in ("users", "events", "assets"):
        rows, path, seen = 0, f"{ROOT}{home}/{section}", 0
        while path and seen < 5:
            seen += 1
            text = look(client, path).text
            rows += text.count("<tr>") - (1 if "<thead>" in text else 0)
            links = [link for link in Seen(text).links if "cursor=" in link or "page=" in link]
            path = links[-1] if "Next" in text else ""
        assert rows == count, section


# -- SQL -----------------------------------------------------------------------------------------------------------------


def ask(client: httpx.Client, home: str, query: str) -> str:
    """What the form answers."""
    form = look(client, f"{home}/sql").text
    token = form.split('name="token" value="')[1].split('"')[0]
    answer = look(client, f"{home}/sql", query=query, token=token)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture
def notes(project: dict[str, Any], database_url: str) -> str:
    """A table with two rows, functions that write, and a sequence; the database's address."""
    in_schema(database_url, project, "CREATE TABLE {}.notes (id serial PRIMARY KEY, body text)")
    in_schema(database_url, project, "INSERT INTO {}.notes (body) VALUES ('one'), ('<xss-z>')")
    in_schema(
        database_url,
        project,
        "CREATE FUNCTION {0}.add() RETURNS int LANGUAGE sql AS"
        " $$ INSERT INTO {0}.notes (body) VALUES ('three') RETURNING id $$",
    )
    in_schema(
        database_url,
        project,
        "CREATE FUNCTION {0}.sneak() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        " SET LOCAL transaction_read_only = off; DELETE FROM {0}.notes; RETURN 1; END $$",
    )
    return database_url


def test_sql_reads(client: httpx.Client, home: str, notes: str) -> None:
    text = ask(client, home, "select id, body from notes order by id")
    assert ">one</td>" in text
    assert "xss-z" not in Seen(text).tags
    assert ">42</td>" in ask(client, home, "( select 42 )")
    assert "Seq Scan" in ask(client, home, "explain select * from notes")
    assert ">UTC</td>" in ask(client, home, "show timezone")
    assert "infinity" in ask(client, home, "select 'infinity'::timestamptz, '10000-01-01'::date")
    assert "No rows." in ask(client, home, "select id from notes where false")
    many = ask(client, home, "select n from generate_series(1, 100000) n")
    assert (many.count("<tr>"), "There are more" in many) == (201, True)


@pytest.mark.parametrize(
    "query",
    [
        "insert into notes (body) values ('x')",
        "delete from notes",
        "with gone as (delete from notes returning id) select * from gone",
        "select add()",
        "select sneak()",
        "select set_config('transaction_read_only', 'off', false), add()",
        "select * into copied from notes",
        "select nextval('notes_id_seq')",
        "explain analyze delete from notes",
        "select 1; delete from notes",
        "commit; delete from notes",
        "set transaction read write",
        "do $$ begin delete from notes; end $$",
        "copy notes to program 'touch /tmp/x'",
        "select id from notes for update",
        "select lo_create(0)",
        "select pg_read_file('postgresql.conf')",
        "select service_key from core_projects",
        "select service_key from internal.core_projects",
        "select query_to_xml('select service_key from internal.core_projects', true, true, '')",
        "select * from pg_authid",
        "select pg_sleep(60)",
        "select 'a\x00'",
        "select \U0001f600 from",
    ],
)
def test_sql_that_does_more_than_read_is_refused(
    client: httpx.Client, project: dict[str, Any], home: str, notes: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_reading, "SECONDS", 1)
    text = ask(client, home, query)
    assert '<p class="bad">' in text
    assert project["service_key"] not in text
    with psycopg.connect(notes) as conn:
        kept = conn.execute(f"SELECT count(*) FROM {project['schema_slot']}.notes".encode()).fetchone()
        used = conn.execute(f"SELECT last_value FROM {project['schema_slot']}.notes_id_seq".encode()).fetchone()
    assert (kept, used) == ((2,), (2,))


def test_a_link_fills_the_form_in_and_runs_nothing(client: httpx.Client, home: str, notes: str) -> None:
    for token in ({}, {"token": "wrong"}, {"token": "é"}):
        text = look(client, f"{home}/sql", query="select 40 + 2 as made", **token).text
        assert "press Run" in text
        assert "<table>" not in text
        assert "select 40 + 2 as made</textarea>" in text
