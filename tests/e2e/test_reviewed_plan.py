"""A plan shows every warning that its SQL deserves, and a commit does nothing that its plan did not show."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

import run402_cli

pytestmark = pytest.mark.e2e

SHRINKING = "RUN402_CORE_MIGRATION_SCHEMA_SHRINKING"
KEPT = [{"n": 50}]


@pytest.fixture
def manifest(cli: Cli, project: dict[str, Any]) -> Path:
    """A live release with a filled table, and a manifest whose next migration drops it, in bytes never sent before."""
    fill = "create table kept (n int); insert into kept select generate_series(1, 50)"
    first = {"id": "001", "sql": fill}
    cli.ok("deploy", "apply", "--spec", json.dumps({"database": {"migrations": [first]}}))
    (cli.cwd / "002.sql").write_text(f"drop table kept; -- of {project['project_id']}\n")
    path = cli.cwd / "drop.json"
    path.write_text(json.dumps({"database": {"migrations": [first, {"id": "002", "sql_path": "002.sql"}]}}))
    return path


def rows(cli: Cli) -> Any:
    return cli.ok("projects", "sql", "select count(*)::int as n from kept")["rows"]


def asked(plan: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(w["code"], w["affected"]) for w in plan["warnings"] if w["requires_confirmation"]]


def run(cli: Cli, action: dict[str, Any]) -> Any:
    assert action["argv"][0] == "run402"
    return cli.ok(*action["argv"][1:])


@pytest.mark.parametrize("command", [("up", "--yes"), ("deploy", "apply"), ("apply",)])
def test_the_plan_warns_of_sql_that_the_gateway_never_saw(cli: Cli, manifest: Path, command: tuple[str, ...]) -> None:
    done = cli.ok(*command, "--manifest", "drop.json", "--plan")
    plan = done["result"]["plan"] if command[0] == "up" else done
    assert asked(plan) == [(SHRINKING, ["002"])]
    assert "unread_migrations" not in plan
    assert rows(cli) == KEPT
    action = plan["next_actions"][0]
    assert action["confirms"] is True
    assert SHRINKING in action["why"]
    done = run(cli, action)
    deployed = done["result"]["deploy"] if command[0] == "up" else done
    assert cli("projects", "sql", "select 1 from kept").code == 1
    # The way back is in the result, in the dialect of a local gateway too.
    back = deployed["restore_point"]["snapshot_id"]
    token = cli.ok("snapshots", "restore", back)["restore_plan"]["confirm"]["token"]
    cli.ok("snapshots", "restore", back, "--confirm", token)
    assert rows(cli) == KEPT


def test_a_plan_without_warnings_confirms_nothing_and_keeps_its_source(cli: Cli, project: dict[str, Any]) -> None:
    (cli.cwd / "m.json").write_text(json.dumps({"site": {"replace": {"index.html": {"data": "hi"}}}}))
    words = ("deploy", "apply", "--project", project["project_id"])
    typed = cli.ok(*words, "--manifest", "m.json", "--plan", "--allow-warning", "X", "--allow-warning=Y")
    action = typed["next_actions"][0]
    assert action["argv"][1:-4] == [*words, "--manifest", "m.json"]
    assert "confirms" not in action
    piped = cli.ok("deploy", "apply", "--plan", stdin=(cli.cwd / "m.json").read_text())["next_actions"][0]
    assert "standard input" in piped["why"]
    run(cli, action)
    assert cli.ok("deploy", "release", "active")["release"]["site"]["paths"][0]["path"] == "index.html"


def test_the_python_api_and_a_rehearsal_see_it_too(cli: Cli, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(cli.config))
    monkeypatch.chdir(cli.cwd)
    with run402_cli.Run402() as api:
        assert asked(api.deploy.plan(manifest)) == [(SHRINKING, ["002"])]
    (cli.cwd / "002.sql").write_text("truncate kept -- rehearsed\n")
    refused = cli("deploy", "apply", "--manifest", "drop.json", "--rehearse", "--commit", "--teardown", "always")
    assert refused.envelope["unacknowledged_warning_codes"] == [SHRINKING]
    assert rows(cli) == KEPT


def test_a_plan_that_could_not_read_the_sql_agrees_to_nothing(
    cli: Cli, manifest: Path, project: dict[str, Any], gateway: dict[str, Any], http: httpx.Client
) -> None:
    """As an older client leaves it: planned with digests alone, the SQL sent afterwards."""
    sql = (cli.cwd / "002.sql").read_bytes()
    first = json.loads(manifest.read_text())["database"]["migrations"][0]["sql"].encode()
    entries = [
        {"id": name, "checksum": digest, "sql_ref": {"sha256": digest, "size": len(text)}}
        for name, text in (("001", first), ("002", sql))
        for digest in [hashlib.sha256(text).hexdigest()]
    ]
    spec = {"project_id": project["project_id"], "database": {"migrations": entries}}
    keys = {"apikey": project["service_key"], "authorization": f"Bearer {project['service_key']}"}
    answer = http.post(f"{gateway['url']}/apply/v1/plans", json={"spec": spec, "mode": "reviewed_plan"}, headers=keys)
    plan = answer.json()
    assert (plan["warnings"], plan["unread_migrations"]) == ([], ["002"]), answer.text
    named = ("--project", project["project_id"])
    refused = cli("up", "--manifest", "drop.json", *named, "--yes", "--require-plan", plan["plan_id"]).envelope
    assert refused["code"] == "PLAN_STALE"
    assert asked(refused) == [(SHRINKING, ["002"])]
    assert "--allow-warning" not in json.dumps(refused["next_actions"])
    # The bytes are there now; the commit itself refuses as well.
    direct = http.post(f"{gateway['url']}/apply/v1/plans/{plan['plan_id']}/commit", json={}, headers=keys)
    assert (direct.status_code, direct.json()["code"]) == (409, "PLAN_STALE")
    assert rows(cli) == KEPT
    again = run(cli, refused["next_actions"][0])["result"]["plan"]
    assert asked(again) == [(SHRINKING, ["002"])]
    run(cli, again["next_actions"][0])
    assert cli("projects", "sql", "select 1 from kept").code == 1
