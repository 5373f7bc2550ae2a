"""What a restore proposes can be run, and what it took out is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

FIRST = {"id": "001", "sql": "create table t (n int); insert into t values (1)"}
SECOND = {"id": "002", "sql": "alter table t add column m int"}


def deploy(cli: Cli, page: str, *migrations: dict[str, str]) -> str:
    spec = {"database": {"migrations": list(migrations)}, "site": {"replace": {"index.html": {"data": page}}}}
    return str(cli.ok("deploy", "apply", "--spec", json.dumps(spec))["release_id"])


def test_the_release_of_the_snapshot_is_promoted_as_proposed(cli: Cli, project: dict[str, Any]) -> None:
    before = deploy(cli, "one", FIRST)
    snapshot_id = cli.ok("snapshots", "create")["snapshot"]["snapshot_id"]
    deploy(cli, "two", FIRST, SECOND)
    # Without the restore the migration stays, and the way back asks; what cannot go away is not waited for.
    asked = cli("deploy", "promote", before).envelope
    assert [action["type"] for action in asked["next_actions"]] == ["retry"]
    assert asked["next_actions"][0]["argv"][-2:] == ["--allow-warning", "MIGRATIONS_NOT_REVERSIBLE"]
    planned = cli.ok("snapshots", "restore", snapshot_id)["restore_plan"]
    assert planned["migrations_taken_out"] == ["002"]
    done = cli.ok("snapshots", "restore", snapshot_id, "--confirm", planned["confirm"]["token"])["restore"]
    assert done["migrations_taken_out"] == ["002"]
    promote = next(action for action in done["next_actions"] if "promote" in action["argv"])
    assert promote["argv"][-2:] == ["--project", project["project_id"]]
    answer = cli.ok(*promote["argv"][1:])
    assert (answer["release_id"], answer["warnings"]) == (before, [])
    assert answer["diff"]["migrations"] == {"only_in_current": [], "only_in_target": []}
    assert answer["diff"]["site_paths"] == {"added_in_current": 0, "removed_in_current": 0, "changed": 1}


def test_what_was_taken_out_runs_again(cli: Cli, project: dict[str, Any]) -> None:
    deploy(cli, "one", FIRST)
    snapshot_id = cli.ok("snapshots", "create")["snapshot"]["snapshot_id"]
    deploy(cli, "two", FIRST, SECOND)
    token = cli.ok("snapshots", "restore", snapshot_id)["restore_plan"]["confirm"]["token"]
    actions = cli.ok("snapshots", "restore", snapshot_id, "--confirm", token)["restore"]["next_actions"]
    path = cli.cwd / "m.json"
    path.write_text(json.dumps({"database": {"migrations": [FIRST, SECOND]}}))
    shown = [str(path) if word == "<file>" else word for word in actions[-1]["argv"][1:]]
    plan = cli.ok(*shown)
    assert [migration["id"] for migration in plan["migrations"]["new"]] == ["002"]
    cli.ok(*plan["next_actions"][0]["argv"][1:])
    assert cli.ok("projects", "sql", "select n, m from t")["rows"] == [{"n": 1, "m": None}]
