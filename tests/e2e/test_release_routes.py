"""Public paths and static routes of a deployed release, request by request; and the ways back and forth."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

INDEX = "<!doctype html><main id='app'></main><script>fetch('/api/hello')</script>"
EVENTS = "<!doctype html><h1>Events</h1>"
LOGIN = "<!doctype html><form method=post></form>"
SITE = {
    "replace": {"index.html": {"data": INDEX}, "events.html": {"data": EVENTS}},
    "public_paths": {"mode": "explicit", "replace": {"/events": {"asset": "events.html", "cache_class": "html"}}},
}


def apply(cli: Cli, *flags: str, **manifest: Any) -> Any:
    return cli.ok("deploy", "apply", *flags, "--manifest", "-", stdin=json.dumps(manifest))


class Site:
    """What the release answers, below the project's static address and on its own host."""

    def __init__(self, http: httpx.Client, result: Any) -> None:
        self.http = http
        self.base = result["urls"]["site"].rstrip("/")

    def __call__(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        return self.http.request(method, self.base + path, headers=headers)

    def status(self, *paths: str, method: str = "GET") -> list[int]:
        return [self(path, method).status_code for path in paths]


def test_only_declared_paths_are_public(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    site = Site(http, apply(cli, site=SITE))
    page = site("/events")
    assert (page.status_code, page.text) == (200, EVENTS)
    assert page.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert site("/events/").text == site("/events?utm=x").text == EVENTS
    assert site.status("/events.html", "/", "/index.html", "/event", "/events/x", "/Events") == [404] * 6
    head = site("/events", "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(EVENTS))
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        refused = site("/events", method)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert refused.json()["error"] == "method_not_allowed"
    assert site.status("/none", method="POST") == [404]


def test_an_alias_gives_a_private_file_an_address_for_reading(
    cli: Cli, project: dict[str, Any], http: httpx.Client
) -> None:
    files = {**SITE, "replace": {**SITE["replace"], "login.html": {"data": LOGIN}}}
    target = {"type": "static", "file": "login.html"}
    routes = {"replace": [{"pattern": "/login", "methods": ["GET", "HEAD"], "target": target}]}
    site = Site(http, apply(cli, site=files, routes=routes))
    assert site("/login").text == site("/login/").text == LOGIN
    assert site.status("/login.html", "/login.css", "/login/x", "/loginx") == [404] * 4
    refused = site("/login", "POST")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert site("/events").text == EVENTS
    # Without `routes` they are carried forward, with an empty table they are gone.
    apply(cli, site={"patch": {"put": {"new.html": {"data": "n"}}}})
    assert site("/login").text == LOGIN
    apply(cli, routes={"replace": []})
    assert site.status("/login", "/events") == [404, 200]


def test_resolve_and_diagnose_say_what_serving_does(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    result = apply(cli, site=SITE)
    url = result["urls"]["site"].rstrip("/")
    found = cli.ok("deploy", "resolve", "--url", f"{url}/events?utm=x", "--method", "GET")
    assert "static_exact" in json.dumps(found)
    assert "events.html" in json.dumps(found)
    missed = cli("deploy", "diagnose", f"{url}/events.html", "--method", "GET")
    assert "none" in missed.out


def test_going_back_to_implicit_paths_must_be_confirmed(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    site = Site(http, apply(cli, site=SITE))
    implicit = {"site": {"public_paths": {"mode": "implicit"}}}
    code = "RUN402_CORE_PUBLIC_PATH_MODE_WIDENS_TO_IMPLICIT"
    planned = apply(cli, "--plan", **implicit)
    assert [w["requires_confirmation"] for w in planned["warnings"] if w["code"] == code] == [True]
    assert site.status("/events.html") == [404]
    apply(cli, "--allow-warning", code, **implicit)
    assert site.status("/events.html", "/events", "/", "/index.html") == [200] * 4
    assert site("/").text == INDEX


def test_a_directory_has_one_address_with_a_slash(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    files = {"index.html": {"data": INDEX}, "docs/index.html": {"data": "docs"}, "about.html": {"data": "about"}}
    site = Site(http, apply(cli, site={"replace": files}))
    assert site("/docs/").text == site("/docs/index.html").text == "docs"
    moved = site("/docs?a=b")
    assert (moved.status_code, httpx.URL(moved.headers["location"]).path[-6:]) == (308, "/docs/")
    assert moved.headers["location"].endswith("/docs/?a=b")
    assert site("/about").text == "about"
    assert site.status("/docs/none", "/docs//index.html", "/docs/%2e%2e/index.html") == [404, 400, 400]


def test_promoting_back_and_forth_switches_the_site_and_never_replays_migrations(
    cli: Cli, project: dict[str, Any], http: httpx.Client
) -> None:
    first = [{"id": "001", "sql": "create table log (n int); insert into log values (1)"}]
    second = [*first, {"id": "002", "sql": "insert into log values (2)"}]
    one = apply(cli, site={"replace": {"index.html": {"data": "one"}}}, database={"migrations": first})
    two = apply(cli, site={"replace": {"index.html": {"data": "two"}}}, database={"migrations": second})
    site = Site(http, two)
    assert site("/").text == "two"
    cli.ok("allowance", "create")
    refused = cli("deploy", "promote", one["release_id"]).envelope
    assert refused["code"] == "PROMOTE_WARNING_REQUIRES_ACK"
    back = cli.ok("deploy", "promote", one["release_id"], "--allow-warnings")
    assert back["previous_release_id"] == two["release_id"]
    assert site("/").text == "one"
    cli.ok("deploy", "promote", two["release_id"])
    assert site("/").text == "two"
    again = apply(cli, site={"replace": {"index.html": {"data": "two"}}}, database={"migrations": second})
    assert again["release_id"] == two["release_id"]
    assert cli.ok("projects", "sql", "select n from log order by n")["rows"] == [{"n": 1}, {"n": 2}]


def test_a_rehearsal_leaves_the_project_as_it_was(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    first = [{"id": "001", "sql": "create table log (n int); insert into log values (1)"}]
    site = Site(http, apply(cli, site={"replace": {"index.html": {"data": "one"}}}, database={"migrations": first}))
    active = cli.ok("deploy", "release", "active")
    schema = cli.ok("projects", "schema")
    change = {"id": "002", "sql": "alter table log add m int; insert into log values (2, 2)"}
    manifest = {"site": {"replace": {"index.html": {"data": "two"}}}, "database": {"migrations": [*first, change]}}
    done = apply(cli, "--rehearse", "--teardown", "always", **manifest)
    report = done["rehearsal"]["report"]
    assert (done["ok"], report["status"], report["teardown"]["action"]) == (True, "passed", "deleted")
    assert report["migrations"] == [{"id": "001", "status": "skipped"}, {"id": "002", "status": "passed"}]
    assert cli.ok("deploy", "release", "active") == active
    assert cli.ok("projects", "schema") == schema
    assert cli.ok("projects", "sql", "select * from log")["rows"] == [{"n": 1}]
    assert site("/").text == "one"
    applied = cli.ok(
        "deploy", "apply", *done["commit_command"].split()[3:], "--manifest", "-", stdin=json.dumps(manifest)
    )
    assert applied["release_id"] not in json.dumps(active)
    assert cli.ok("projects", "sql", "select count(*)::int as n from log")["rows"] == [{"n": 2}]


def test_a_rehearsal_finds_what_the_projects_data_forbids(cli: Cli, project: dict[str, Any]) -> None:
    first = {"id": "001", "sql": "create table log (n int); insert into log values (1)"}
    apply(cli, database={"migrations": [first]})
    change = {"id": "002", "sql": "alter table log add check (n > 1)"}
    failed = cli(
        "deploy",
        "apply",
        "--rehearse",
        "--teardown",
        "always",
        "--manifest",
        "-",
        stdin=json.dumps({"database": {"migrations": [first, change]}}),
    )
    assert failed.code == 1
    report = json.loads(failed.out)["rehearsal"]["report"]
    assert [entry["status"] for entry in report["migrations"]] == ["skipped", "failed"]
    assert cli.ok("projects", "sql", "select n from log")["rows"] == [{"n": 1}]


# The complete example of a site with function routes: one private and one public file, two functions, methods by path.
FULL = {
    "site": SITE,
    "functions": {
        "replace": {
            "api": {
                "runtime": "node22",
                "source": {
                    "data": "export default async function handler(req) { const url = new URL(req.url);"
                    " return Response.json({ ok: true, path: url.pathname }); }"
                },
            },
            "login": {
                "runtime": "node22",
                "source": {
                    "data": "export default async function handler(req) { return Response.json({ ok: true }); }"
                },
            },
        }
    },
    "routes": {
        "replace": [
            {
                "pattern": "/api/*",
                "methods": ["GET", "POST", "OPTIONS"],
                "target": {"type": "function", "name": "api"},
            },
            {"pattern": "/login", "methods": ["POST"], "target": {"type": "function", "name": "login"}},
        ]
    },
}


def test_functions_and_files_share_one_origin(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    site = Site(http, apply(cli, **FULL))
    assert site("/events").text == EVENTS
    assert site.status("/events.html", "/", "/index.html") == [404] * 3
    for path in ("/api/hello", "/api/hello?q=1", "/api/a/b"):
        answer = site(path)
        assert (answer.json()["ok"], answer.json()["path"]) == (True, path.partition("?")[0])
    assert [site("/api/x", method).status_code for method in ("GET", "HEAD", "POST", "OPTIONS")] == [200] * 4
    refused = site("/api/x", "DELETE")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    # A prefix route covers what is below it, nothing beside it.
    assert site.status("/api", "/api/", "/apix", "/api.css") == [404] * 4
    assert site("/login", "POST").json() == site("/login/", "POST").json() == {"ok": True}
    assert site("/login").status_code == 405
    # Direct calls keep their key; the routed paths need none.
    assert http.post(f"{gateway['url']}/functions/v1/login").status_code == 401


def test_a_static_page_and_a_function_share_a_path_by_method(
    cli: Cli, project: dict[str, Any], http: httpx.Client
) -> None:
    files = {**SITE, "replace": {**SITE["replace"], "login.html": {"data": LOGIN}}}
    target = {"type": "static", "file": "login.html"}
    page = {"pattern": "/login", "methods": ["GET", "HEAD"], "target": target}
    routes = {"replace": [*FULL["routes"]["replace"], page]}
    site = Site(http, apply(cli, site=files, functions=FULL["functions"], routes=routes))
    assert (site("/login").text, site("/login", "POST").json()) == (LOGIN, {"ok": True})
    assert site("/login", "DELETE").headers["allow"] == "GET, HEAD, POST"
    # A function that fails does not fall back to a file of the same path.
    broken = {"patch": {"set": {"api": {"source": {"data": "export default () => { throw new Error('no') }"}}}}}
    public = {"mode": "explicit", "replace": {"/api/page": {"asset": "events.html", "cache_class": "html"}}}
    apply(cli, "--allow-warnings", functions=broken, site={"public_paths": public})
    assert site("/api/page").status_code == 500
    assert EVENTS not in site("/api/page").text
