"""Every refusal (4xx) of the gateway says what to do: a hint that is a command or a value, never nothing."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from command_kit import complaint
from starlette.routing import Route

from run402_cli import advice
from run402_cli.core.app import ROUTES
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.bundle_rows import function_not_found
from run402_cli.core.users import links
from run402_cli.core.web import hints

CORE = Path(hints.__file__).parent.parent
BODIES = (b"", b"{", b"[]", b'{"nonsense": 1}', b'{"name": 5, "key": "a b", "email": "x", "ref": "nope"}')
# Wrong in one thing each: what stands in the path after the project, the query, and the JSON body.
WRONG: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/projects/v1/admin/{id}/sql", {"sql": "select * from nosuch"}),
    ("POST", "/projects/v1/admin/{id}/sql", {"sql": "selec 1"}),
    ("POST", "/projects/v1/admin/{id}/sql", {"sql": "select nocol from pg_class"}),
    ("POST", "/projects/v1/admin/{id}/sql", {"sql": "create role x"}),
    ("POST", "/projects/v1/admin/{id}/secrets", {"key": "a-b", "value": "v"}),
    ("POST", "/projects/v1/admin/{id}/functions", {"name": "Bad Name", "code": "export default 1"}),
    ("PATCH", "/projects/v1/admin/{id}/functions/nosuch", {"schedule": "nope"}),
    ("POST", "/projects/v1/admin/{id}/expose", {"version": "1", "tables": [{"name": "nosuch", "expose": True}]}),
    ("POST", "/apply/v1/plans", {"spec": {"project_id": "{id}", "nonsense": {}}}),
    ("POST", "/apply/v1/plans", {"spec": {"project_id": "{id}"}}),
    ("POST", "/projects/v1/{id}/credentials", {"kind": "root", "name": "x"}),
    ("POST", "/auth/v1/signup", {"email": "nope", "password": "x"}),
    ("POST", "/jobs/v1/runs", {"job_type": "nope", "input_json": {}}),
    ("GET", "/admin/v1/rest/nosuch", None),
    ("GET", "/admin/v1/rest/rpc/nosuch", None),
    ("GET", "/admin/v1/rest/nosuch?select=(", None),
    ("POST", "/admin/v1/rest/nosuch", [1]),
    ("GET", "/rest/v1/nosuch", None),
    ("GET", "/no/such/route", None),
    ("PATCH", "/health", None),
)


def constructed() -> Iterator[tuple[str, int, int, str]]:
    """(file, line, status, word) of every refusal that the sources make with constants."""
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and len(node.args) >= 2:
                status, word = (each.value if isinstance(each, ast.Constant) else None for each in node.args[:2])
                if isinstance(status, int) and 400 <= status < 500 and isinstance(word, str):
                    yield path.relative_to(CORE).as_posix(), node.lineno, status, word


def without(body: dict[str, Any], path: str) -> str | None:
    """What is missing in a refusal, or None."""
    hint = body.get("hint")
    if not isinstance(hint, str) or not hint.strip():
        return "no hint"
    wrong = [why for words in advice.commands_in(hint) if (why := complaint(words))]
    if wrong:
        return f"a command that does not exist: {wrong}"
    actions = [action.get("argv", [])[1:] for action in body.get("next_actions", ())]
    named = [words for words in advice.commands_in(hint) if words[-1:] != ["--help"]]
    if "next_actions" in body and [words for words in named if list(map(str, words)) not in actions]:
        return "a command of the hint is not among the actions"
    if "{project}" in hint or ("prj_" in path and "<project_id>" in hint):
        return "a blank for what is known"
    return None


def test_every_kind_of_refusal_has_its_next_step() -> None:
    kinds = sorted({(status, word) for _file, _line, status, word in constructed() if word.islower()})
    assert kinds
    for (status, word), path in itertools.product(kinds, ("/projects/v1/prj_1/x", "/apply/v1/plans", "/nowhere")):
        body = hints.body(GatewayError(status, word, "It is refused."), path)
        assert without(body, path) is None, (path, body)
        assert advice.commands_in(body["hint"]) or (path.startswith("/apply") and word in hints._IN_MANIFEST)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("PGRST204", "projects schema --project prj_1"),
        ("42703", "projects schema --project prj_1"),
        ("42P01", "projects get-expose --project prj_1"),
    ],
)
def test_a_wrong_column_leads_to_the_schema_and_a_dark_table_to_what_is_exposed(code: str, command: str) -> None:
    for hint in ("Perhaps you meant 'score'.", None):
        body = hints.rest({"code": code, "message": "No.", "hint": hint}, "prj_1")
        assert body["next_actions"][0]["command"] == f"run402 {command}"
        assert body["hint"].startswith("Perhaps you meant 'score'. " if hint else ("The", "What"))
        assert ".." not in body["hint"]


def test_a_link_that_is_spent_and_a_project_without_functions_name_whole_commands() -> None:
    spent = hints.body(links._invalid("link"), "/auth/v1/token")
    assert spent["next_actions"][0]["command"] == "run402 auth magic-link --email <address> --redirect <url>"
    none = hints.body(function_not_found(SimpleNamespace(project_id="prj_1"), "f", []), "/functions/v1/f")  # type: ignore[arg-type]
    assert none["next_actions"][0]["command"] == "run402 functions deploy f --file <file> --project prj_1"


def filled(route: Route, project_id: str) -> str:
    def value(match: re.Match[str]) -> str:
        return project_id if match[1] == "project_id" else "nope"

    return re.sub(r"\{(\w+)(?::\w+)?\}", value, route.path)


def asked(project: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Requests that are wrong in many ways, to every route: no key, a wrong key, a wrong thing, a wrong body."""
    own = {"Authorization": f"Bearer {project['service_key']}", "apikey": project["service_key"]}
    for route in ROUTES:
        if not isinstance(route, Route):
            continue
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            removes = method == "DELETE" and route.path == "/projects/v1/{project_id}"
            for project_id in ("prj_0000000000000000000000", *(() if removes else (project["project_id"],))):
                path = filled(route, project_id)
                yield method, path, {}, b""
                yield method, path, {"Authorization": "Bearer nope", "apikey": "nope"}, b"{}"
                yield from ((method, path, own, body) for body in (BODIES if method != "GET" else (b"",)))
    for method, path, body in WRONG:
        text = json.dumps(body).replace("{id}", project["project_id"]) if body is not None else ""
        yield method, path.replace("{id}", project["project_id"]), own, text.encode()


def test_no_refusal_that_the_routes_answer_comes_without(client: httpx.Client, project: dict[str, Any]) -> None:
    seen: set[str] = set()
    bare = []
    for method, path, headers, content in asked(project):
        answer = client.request(method, path, headers=headers, content=content)
        if not 400 <= answer.status_code < 500 or "json" not in answer.headers.get("content-type", ""):
            continue
        body = answer.json()
        seen.add(str(body.get("error") or body.get("code")))
        if why := without(body, path):
            bare.append((method, path, answer.status_code, body, why))
    assert bare == [], json.dumps(bare)
    assert len(seen) > 45, sorted(seen)


def test_sql_shows_the_place_and_where_the_names_are(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    def refused(sql: str) -> dict[str, Any]:
        answer = client.post(f"/projects/v1/admin/{project['project_id']}/sql", headers=service, json={"sql": sql})
        assert answer.status_code == 400
        return dict(answer.json())

    unknown = refused("select 1,\n  nocol from pg_class")
    assert unknown["excerpt"] == "  nocol from pg_class\n  ^"
    schema = ["run402", "projects", "schema", "--project", project["project_id"]]
    assert unknown["next_actions"][0]["argv"] == schema
    assert refused("select * from nosuch")["next_actions"][0]["argv"] == schema
    assert refused("selec 1")["hint"].endswith("selec 1\n^")


@pytest.mark.parametrize(("way", "code"), [("/rest/v1/nosuch", "PGRST205"), ("/rest/v1/rpc/nosuch", "PGRST202")])
def test_rest_names_the_expose_manifest_of_the_project(
    client: httpx.Client, project: dict[str, Any], way: str, code: str
) -> None:
    body = client.get(way, headers={"apikey": project["anon_key"]}).json()
    assert body["code"] == code
    assert "apply-expose" in body["hint"]
    assert body["next_actions"][0]["argv"] == [
        *("run402", "projects", "get-expose", "--project"),
        project["project_id"],
    ]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "credentials project-keys export --project <project_id> --reveal"),
        ({"apikey": "anon_of_nobody"}, "credentials project-keys export --project <project_id> --reveal"),
        (None, "projects get-expose"),
    ],
)
def test_rest_names_a_command_that_runs_as_it_stands(
    client: httpx.Client, project: dict[str, Any], headers: dict[str, str] | None, words: str
) -> None:
    sql = {"Authorization": f"Bearer {project['service_key']}", "Content-Type": "text/plain"}
    address = f"/projects/v1/admin/{project['project_id']}/sql"
    assert client.post(address, content="create table if not exists dark (id int)", headers=sql).status_code == 200
    key = {"apikey": project["anon_key"]} if headers is None else headers
    answer = client.get("/rest/v1/dark", headers=key)
    assert answer.status_code == 401, answer.text
    assert answer.json()["next_actions"][0]["argv"] == ["run402", *words.split()]


def refused(client: httpx.Client, project: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/apply/v1/plans", json={"spec": {"project_id": project["project_id"], **spec}})
    assert 400 <= answer.status_code < 500
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ({"site": {"replace": 5}}, "Correct site.replace in the manifest, then deploy again."),
        ({"domains": {"set": ["a.example"]}}, None),
        ({"nonsense": {}}, None),
        ({"checks": [{"id": "a"}]}, None),
    ],
)
def test_a_refused_manifest_says_what_to_change_and_no_command(
    client: httpx.Client, project: dict[str, Any], spec: dict[str, Any], hint: str | None
) -> None:
    body = refused(client, project, spec)
    assert hint in (None, body["hint"])
    assert " the manifest" in body["hint"], body
    assert not advice.commands_in(body["hint"])
    assert not [action for action in body["next_actions"] if action.get("command")]


def test_the_words_of_the_table_are_words_of_the_gateway() -> None:
    """Its own, and those of the checks that it shares with the client."""
    paths = [path for folder in (CORE, CORE.parent / "release") for path in folder.rglob("*.py")]
    sources = "".join(path.read_text(encoding="utf-8") for path in paths if path != Path(hints.__file__)).lower()
    said = [word for word in hints._IN_MANIFEST if f'"{word}"' in sources or f'"r402_{word}"' in sources]
    assert said == list(hints._IN_MANIFEST)
