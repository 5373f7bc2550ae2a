"""The main job: provision, SQL, expose, REST, deploy, open it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

ITEMS = "create table items (id int primary key, title text not null, owner text default auth.uid())"
READABLE = {"version": "1", "tables": [{"name": "items", "expose": True, "policy": "public_read_authenticated_write"}]}


def write_app(folder: Path, **manifest: Any) -> Path:
    """A directory with a manifest and a two-file site."""
    (folder / "site" / "css").mkdir(parents=True, exist_ok=True)
    (folder / "site" / "index.html").write_text("<!doctype html><title>One</title><h1>one</h1>")
    (folder / "site" / "css" / "a.css").write_text("h1{color:red}")
    path = folder / "run402.deploy.json"
    path.write_text(json.dumps({"site": {"replace": {"__source": "local-dir", "path": "site"}}, **manifest}))
    return path


def test_provision_answers_with_keys_and_makes_the_project_active(cli: Cli) -> None:
    made = cli("projects", "provision", "--name", "shop").json
    assert made["project_id"].startswith("prj_")
    assert cli("projects", "current").json["active_project_id"] == made["project_id"]
    assert cli("projects", "get").json["name"] == "shop"
    # One page, oldest first: other tests of this gateway may have filled it.
    listed = cli("projects", "list").json
    rows = {row["project_id"]: row for row in listed["projects"]}
    assert listed["has_more"] or rows[made["project_id"]]["active"] is True


def test_provisioning_the_same_name_twice_gives_the_same_project(cli: Cli) -> None:
    first = cli("projects", "provision", "--name", "same").json
    assert cli("projects", "provision", "--name", "same").json["project_id"] == first["project_id"]


def test_sql_runs_with_parameters_and_from_stdin(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok("projects", "sql", ITEMS.replace("auth.uid()", "'x'"))
    cli.ok("projects", "sql", "insert into items (id, title) values ($1, $2)", "--params", '[1, "a"]')
    answer = cli("projects", "sql", "--stdin", stdin="select id, title from items").json
    assert answer["rows"] == [{"id": 1, "title": "a"}]
    assert [field["type"] for field in answer["fields"]] == ["int4", "text"]


def test_sql_errors_show_message_position_and_hint(cli: Cli, project: dict[str, Any]) -> None:
    envelope = cli("projects", "sql", "select nme from pg_class limit 1").envelope
    assert envelope["http"] == 400
    assert "nme" in envelope["message"]
    assert "position" in json.dumps(envelope)
    hinted = cli("projects", "sql", "select relnam from pg_class limit 1").envelope
    assert "relname" in json.dumps(hinted)


@pytest.mark.parametrize("sql", ["create role x", "grant all on items to anon", "create extension dblink"])
def test_blocked_sql_is_forbidden_with_a_hint(sql: str, cli: Cli, project: dict[str, Any]) -> None:
    envelope = cli("projects", "sql", sql).envelope
    assert (envelope["http"], envelope["code"]) == (403, "FORBIDDEN")
    assert envelope["hint"]


def test_tables_are_dark_until_exposed(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok("projects", "sql", "create table items (id int primary key, title text not null)")
    cli.ok("projects", "sql", "insert into items values (1, 'a')")
    assert cli("projects", "rest", "items").code == 1
    applied = cli("projects", "apply-expose", json.dumps(READABLE)).json
    assert applied["applied"]["tables"] == ["items"]
    assert cli("projects", "rest", "items", "--query", "select=title").json == [{"title": "a"}]
    assert cli("projects", "get-expose").json["source"] == "applied"
    cli.ok("projects", "apply-expose", '{"version":"1"}')
    assert cli("projects", "rest", "items").code == 1


def test_rest_writes_with_the_service_key_and_not_with_the_anon_key(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok("projects", "sql", "create table items (id int primary key, title text not null)")
    cli.ok("projects", "apply-expose", json.dumps(READABLE))
    write = ("projects", "rest", "items", "--method", "POST", "--body", '{"id": 7, "title": "seven"}')
    assert cli(*write).code == 1
    assert cli(*write, "--key-type", "service").json == [{"id": 7, "title": "seven"}]
    changed = ("--method", "PATCH", "--query", "id=eq.7", "--body", '{"title": "VII"}', "--key-type", "service")
    assert cli("projects", "rest", "items", *changed).json == [{"id": 7, "title": "VII"}]
    assert cli("projects", "rest", "items").json == [{"id": 7, "title": "VII"}]


def test_expose_with_unknown_tables_is_refused_whole(cli: Cli, project: dict[str, Any]) -> None:
    bad = {"version": "1", "tables": [{"name": "ghost", "expose": True, "policy": "public_read_authenticated_write"}]}
    envelope = cli("projects", "apply-expose", json.dumps(bad)).envelope
    assert envelope["http"] == 400
    assert envelope["errors"][0]["type"] == "missing-table"
    report = cli("projects", "validate-expose", json.dumps(bad)).json
    assert report["has_errors"] is True


def test_deploy_then_open_the_page(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    manifest = write_app(
        cli.cwd,
        database={"migrations": [{"id": "001", "sql": ITEMS}], "expose": READABLE},
        routes={
            "replace": [{"pattern": "/style", "methods": ["GET"], "target": {"type": "static", "file": "css/a.css"}}]
        },
    )
    done = cli("deploy", "apply", "--manifest", str(manifest))
    site = done.json["urls"]["site"].rstrip("/")
    assert done.events[0]["type"] == "plan.started"
    assert done.events[-1]["type"] == "ready"
    page = http.get(f"{site}/")
    assert (page.status_code, "<h1>one</h1>" in page.text) == (200, True)
    assert page.headers["content-type"].startswith("text/html")
    assert http.get(f"{site}/css/a.css").text == "h1{color:red}"
    assert http.get(f"{site}/style").text == "h1{color:red}"
    assert http.post(f"{site}/style").status_code == 405
    assert http.get(f"{site}/none").status_code == 404
    assert cli("projects", "rest", "items").json == []
    again = cli("apply", "--manifest", str(manifest)).json
    assert again["release_id"] == done.json["release_id"]


def test_site_patch_and_public_paths(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    manifest = write_app(cli.cwd)
    site = cli("deploy", "apply", "--manifest", str(manifest)).json["urls"]["site"].rstrip("/")
    patch = {"site": {"patch": {"put": {"about.html": "<h1>about</h1>"}, "delete": ["css/a.css"]}}}
    stopped = cli("deploy", "apply", "--spec", json.dumps(patch)).envelope
    assert stopped["code"] == "RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL"
    cli.ok("deploy", "apply", "--spec", json.dumps(patch), "--allow-warning", stopped["code"])
    assert http.get(f"{site}/about").text == "<h1>about</h1>"
    assert http.get(f"{site}/css/a.css").status_code == 404
    explicit = {"site": {"public_paths": {"mode": "explicit", "replace": {"/hello": {"asset": "about.html"}}}}}
    cli.ok("deploy", "apply", "--spec", json.dumps(explicit))
    assert http.get(f"{site}/hello").text == "<h1>about</h1>"
    assert http.get(f"{site}/about.html").status_code == 404


def test_sites_deploy_dir_replaces_the_site(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    cli.ok("wallets", "new", "main")
    cli.env["RUN402_WALLET_LABEL_SYNC"] = "0"
    write_app(cli.cwd)
    refused = cli("sites", "deploy-dir", "site").envelope
    assert refused["code"] in ("NO_ALLOWANCE", "PRUNE_CONFIRMATION_REQUIRED")


def test_up_deploys_the_directory_and_links_it(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    write_app(cli.cwd)
    result = cli("up", "--yes").json["result"]
    assert result["project_id"] == project["project_id"]
    assert "<h1>one</h1>" in http.get(result["deploy"]["urls"]["site"].rstrip("/") + "/").text
    link = json.loads((cli.cwd / ".run402" / "project.json").read_text())
    assert link["project_id"] == project["project_id"]
    assert cli("up", "--yes").json["result"]["deploy"]["release_id"] == result["deploy"]["release_id"]


def test_delete_needs_confirmation_and_clears_the_pointer(cli: Cli, project: dict[str, Any]) -> None:
    assert cli("projects", "delete").envelope["code"] == "CONFIRMATION_REQUIRED"
    assert cli("projects", "delete", "--confirm").json["deleted"] is True
    assert cli("projects", "sql", "select 1").envelope["code"] == "PROJECT_REQUIRED"
    assert cli("projects", "get", project["project_id"]).envelope["http"] in (403, 404)


@pytest.mark.parametrize(
    "command",
    [
        ("projects", "quote"),
        ("projects", "list"),
        ("projects", "current"),
        ("projects", "get"),
        ("projects", "usage"),
        ("projects", "schema"),
        ("projects", "get-expose"),
        ("projects", "tenant-payments"),
        ("credentials", "list"),
        ("credentials", "status"),
        ("credentials", "project-keys", "list"),
        ("service", "status"),
        ("service", "health"),
        ("status",),
        ("wallets", "list"),
        ("core", "status"),
    ],
    ids=" ".join,
)
def test_read_commands_answer_with_json(command: tuple[str, ...], cli: Cli, project: dict[str, Any]) -> None:
    assert cli(*command).json is not None


def test_credentials_live_from_issue_to_revoke(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    base = cli("service", "status") and json.loads((cli.config / "target.json").read_text())["api_base"]
    issued = cli("credentials", "issue", "--kind", "service", "--name", "ci").json
    sql = f"{base}/projects/v1/admin/{project['project_id']}/sql"
    bearer = {"Authorization": f"Bearer {issued['secret']}", "Content-Type": "text/plain"}
    assert http.post(sql, content="select 1 as one", headers=bearer).json()["rows"] == [{"one": 1}]
    rotated = cli("credentials", "rotate", issued["credential_id"]).json
    assert rotated["secret"] != issued["secret"]
    cli.ok("credentials", "revoke", rotated["credential_id"])
    bearer["Authorization"] = f"Bearer {rotated['secret']}"
    assert http.post(sql, content="select 1", headers=bearer).status_code == 401


def test_rename_shows_the_new_name(cli: Cli, project: dict[str, Any]) -> None:
    assert cli("projects", "rename", "--name", "renamed").json["renamed"] is True
    assert cli("projects", "get").json["name"] == "renamed"
