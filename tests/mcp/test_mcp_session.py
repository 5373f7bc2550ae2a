"""The server as a process, the official client, a real gateway with its real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import config_kit
import httpx
import pytest
from mcp_kit import Agent, agent

EXPOSE = {
    "version": "1",
    "tables": [{"name": "items", "expose": True, "policy": "public_read_authenticated_write"}],
}


def provision(user: Agent) -> str:
    return str(user.ok("provision_postgres_project")["project_id"])


def test_from_nothing_to_a_site_with_data(user: Agent, config: Path) -> None:
    project_id = provision(user)
    user.ok("run_sql", sql="-- a table\ncreate table items (id int primary key, title text)")
    user.ok("run_sql", sql="insert into items values ($1, $2)", params=[1, "a | b"])

    rows = user("run_sql", sql="select * from items")
    assert rows.document["rows"] == [{"id": 1, "title": "a | b"}]
    assert "| 1 | a \\| b |" in rows.text
    assert "id (int4)" in rows.text
    assert rows.document["schema"] in rows.text

    user.ok("apply_expose", project_id=project_id, manifest=EXPOSE)
    found = user("rest_query", table="items", params={"select": "title"})
    assert found.document["http_status"] == 200
    assert found.document["body"] == [{"title": "a | b"}]
    assert "GET /rest/v1/items?select=title: HTTP 200" in found.text

    tables = user.ok("get_schema")["tables"]
    assert [table["name"] for table in tables] == ["items"]

    files = [{"file": "index.html", "data": "<h1>It works</h1>"}]
    site = user("deploy_site", project=project_id, files=files)
    assert not site.failed, site.text
    assert "It works" in httpx.get(site.document["url"], timeout=30, follow_redirects=True).text
    assert '"type": "' in site.text  # the events

    release = user.ok("deploy_release_active", project_id=project_id)["release"]
    assert [path["path"] for path in release["site"]["paths"]] == ["index.html"]
    assert user.ok("list_projects")["projects"][0]["active"] is True


def test_keys_are_saved_and_never_shown_unless_asked_for(user: Agent, config: Path) -> None:
    answer = user("provision_postgres_project")
    project_id = answer.document["project_id"]
    service_key = user.ok("project_key_cache_export", project_id=project_id, reveal=True)["service_key"]
    assert service_key not in answer.text + json.dumps(answer.document)
    assert "service_key" not in answer.document

    status = user("project_key_cache_status", project_id=project_id)
    assert status.document["has_service_key"] is True
    assert service_key not in status.text

    echoed = user("run_sql", sql="select $1::text as found", params=[service_key])
    assert "[redacted]" in echoed.text
    assert service_key not in echoed.text + json.dumps(echoed.document)

    assert user("project_key_cache_export", project_id=project_id, reveal=False).failed


def test_a_failing_statement_is_an_error_with_postgresql_s_own_words(user: Agent) -> None:
    provision(user)
    answer = user("run_sql", sql="select * from nowhere")
    assert answer.failed
    first = answer.text.splitlines()[0]
    assert first.startswith("run_sql failed while running SQL: ")
    assert 'relation "nowhere" does not exist' in first
    assert "(HTTP 4" in first


def test_a_release_with_a_migration_and_a_function_is_deployed_and_called(user: Agent) -> None:
    project_id = provision(user)
    migration = {"id": "001_notes", "sql": "create table notes (id int)"}
    code = "export default async (req) => Response.json({hello: (await req.json()).name})"
    result = user(
        "deploy",
        project_id=project_id,
        database={"migrations": [migration]},
        functions={"patch": {"set": {"hello": {"source": code}}}},
        site={"replace": {"index.html": "<p>hi</p>"}},
    )
    assert not result.failed, result.text
    assert result.document["release_id"]
    called = user.ok("invoke_function", project_id=project_id, name="hello", body={"name": "Ada"})
    assert called["body"] == {"hello": "Ada"}
    assert [found["name"] for found in user.ok("get_schema")["tables"]] == ["notes"]


def test_an_app_in_a_directory_is_planned_and_then_deployed_with_agreement(user: Agent, tmp_path: Path) -> None:
    app = tmp_path / "work" / "app"  # below the directory that the server runs in
    app.mkdir()
    (app / "index.html").write_text("<p>from a directory</p>")
    manifest = {"site": {"replace": {"index.html": {"path": "index.html"}}}}
    (app / "run402.json").write_text(json.dumps(manifest))

    project_id = provision(user)
    refused = user("app_up", source=str(app), project_id=project_id)
    assert refused.failed
    assert "RUN402_APPROVAL_REQUIRED" in refused.text
    planned = user.ok("app_up", source=str(app), project_id=project_id, dry_run=True)
    assert planned["dry_run"] is True
    done = user("app_up", source=str(app), project_id=project_id, yes=True)
    assert not done.failed, done.text
    site = done.document["result"]["deploy"]["urls"]["site"]
    assert "from a directory" in httpx.get(site, timeout=30, follow_redirects=True).text


def test_a_deploy_that_says_nothing_is_refused(user: Agent) -> None:
    answer = user("deploy", project_id=provision(user))
    assert answer.failed
    assert "MANIFEST_EMPTY" in answer.text


def test_a_long_release_is_shortened_and_read_on(user: Agent) -> None:
    project_id = provision(user)
    files = [{"file": f"page-{number:02}.html", "data": f"{number}"} for number in range(25)]
    user.ok("deploy_site", project=project_id, files=files)
    answer = user("deploy_release_active", project_id=project_id)
    cut = next(cut for cut in answer.document["shortened"] if cut["path"] == "release.site.paths")
    assert (cut["shown"], cut["total"]) == (20, 25)
    assert cut["ref"] in answer.text
    rest = user.ok("expand_result", ref=cut["ref"], offset=20)
    assert len(rest["items"]) == 5
    assert rest["next_offset"] is None


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("run_sql", {"sql": "select 1", "surprise": 1}),
        ("run_sql", {}),
        ("run_sql", {"sql": 7}),
        ("deploy", {"project_id": "p", "site": {"replace": {"a": {"path": "/etc/passwd"}}}}),
        ("assets_ls", {"project_id": "p", "limit": 0}),
        ("set_secret", {"project_id": "p", "key": "K", "value": ["hunter2hunter2"]}),
    ],
)
def test_input_outside_the_schema_is_refused_without_repeating_values(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    env = {"RUN402_CONFIG_DIR": str(tmp_path / "config"), "RUN402_API_BASE": "http://127.0.0.1:9"}
    with agent(tmp_path / "work", env) as user:
        answer = user(tool, **arguments)
    assert answer.failed
    assert "was not called" in answer.text
    assert "hunter2" not in answer.text


def test_hostile_values_are_carried_as_values(user: Agent) -> None:
    project_id = provision(user)
    for text in (
        "'; drop schema public; --",
        "--help",
        "../../etc/passwd",
        "\u202e\u0000".replace("\0", ""),
        "💥" * 1000,
    ):
        assert user.ok("run_sql", sql="select $1::text as v", params=[text])["rows"] == [{"v": text}]
    assert user("project_get", project_id="../../health").failed
    outside = [{"file": "../outside.html", "data": "x"}]
    assert user("deploy_site", project=project_id, files=outside).failed
    assert user("assets_put", project_id=project_id, key="../x", content="x").failed
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    assert user("apply_expose", project_id=project_id, manifest={"version": "1", "tables": [deep]}).failed
    assert not user("service_health").failed


def test_the_buyer_profile_offers_its_tools_and_speaks_of_no_others(tmp_path: Path) -> None:
    env = {
        "RUN402_CONFIG_DIR": str(tmp_path / "config"),
        "RUN402_API_BASE": "http://127.0.0.1:9",
        "RUN402_MCP_PROFILE": "buyer",
    }
    with agent(tmp_path / "work", env) as user:
        assert sorted(user.tools()) == [
            *("allowance_export", "allowance_status", "check_balance", "generate_image", "init", "redeem_voucher"),
            "request_faucet",
        ]
        status, export = user("allowance_status"), user("allowance_export")
    assert "init" in status.text
    assert "allowance_create" not in status.text + export.text
    assert "Call init." in export.text


def test_a_server_in_a_clone_never_uses_the_wallet_that_the_clone_chose(tmp_path: Path) -> None:
    clone, config = tmp_path / "clone", tmp_path / "config"
    (clone / ".git").mkdir(parents=True)
    (clone / ".run402.json").write_text('{"wallet": "rich"}')
    config_kit.keep_wallet(config / "profiles" / "rich")
    config_kit.keep_keys(config / "profiles" / "rich", prj_1={"anon_key": "anon_of_rich", "service_key": "key_of_rich"})
    env = {"RUN402_CONFIG_DIR": str(config), "RUN402_API_BASE": "http://127.0.0.1:9"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("allowance_export", {}),
        ("generate_image", {"prompt": "a cat"}),
        ("project_key_cache_export", {"project_id": "prj_1", "reveal": True}),
        ("run_sql", {"project_id": "prj_1", "sql": "select 1"}),
    ]
    with agent(clone, env) as user:
        for name, arguments in [*calls, *calls]:
            answer = user(name, **arguments)
            assert answer.failed, name
            assert "BINDING_NOT_CONFIRMED" in answer.text, name
            assert config_kit.ADDRESS not in answer.text
            assert "key_of_rich" not in answer.text
        agreed = {"confirmed_bindings": {str((clone / ".run402.json").resolve()): "rich"}}
        config_kit.write(config / "config.json", agreed)
        assert user.ok("allowance_export")["address"] == config_kit.ADDRESS


def test_an_unknown_profile_ends_the_server_with_the_known_names(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUN402_")}
    env = {**kept, "RUN402_CONFIG_DIR": str(tmp_path), "RUN402_MCP_PROFILE": "seller"}
    done = subprocess.run(
        [sys.executable, "-m", "run402_cli", "mcp"], env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert "buyer" in json.loads(done.stderr)["hint"]


def test_lines_that_are_no_messages_do_not_end_the_server_and_stdout_holds_json_rpc_only(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUN402_")}
    env = {**kept, "RUN402_CONFIG_DIR": str(tmp_path / "c"), "RUN402_API_BASE": "", "RUN402_DEBUG": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    call = {"name": "allowance_export", "arguments": {}}
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        '{"broken',
        "\udcff not utf-8",
        "[" * 5000,
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "run402_cli", "mcp"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
        server.stdin.flush()
        answers = {}
        while 2 not in answers:
            message = json.loads(server.stdout.readline())
            answers[message.get("id")] = message
        server.stdin.close()
        assert server.wait(30) == 0
        rest = server.stdout.read()
    finally:
        server.kill()
        server.wait()
    assert rest == b""
    assert answers[1]["result"]["protocolVersion"] == "2025-06-18"
    assert answers[1]["result"]["serverInfo"]["name"] == "run402"
    assert answers[1]["result"]["capabilities"] == {"tools": {"listChanged": True}}
    assert answers[2]["result"]["isError"] is True
    assert "allowance_create" in answers[2]["result"]["content"][0]["text"]
