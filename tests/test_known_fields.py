"""--fields refuses what neither the result nor its schema has, and names what there is."""

from __future__ import annotations

from typing import Any

import pytest

from run402_cli import global_options, projection
from run402_cli.errors import FlagError
from run402_cli.global_options import Invocation


def options(command: str, *paths: str) -> Invocation:
    made = Invocation()
    made.command = command
    made.fields = tuple(tuple(path.split(".")) for path in paths)
    return made


@pytest.mark.parametrize(
    ("command", "value", "path"),
    [
        ("projects list", {"projects": []}, "projects.name"),  # known to the schema, no row
        ("projects list", {"projects": [{"of_the_gateway": 1}]}, "projects.of_the_gateway"),  # open: a row has it
        ("projects list", {"projects": [{"a": 1}, {}]}, "projects.a"),
        ("projects sql", {"rows": []}, "rows.anything"),  # rows may hold anything
        ("projects rest", [], "anything"),
        ("", {"projects": []}, "projects"),
    ],
)
def test_these_are_taken(command: str, value: Any, path: str) -> None:
    projection.check_fields(value, options(command, path))


@pytest.mark.parametrize(
    ("command", "value", "path", "known"),
    [
        ("projects list", {"projects": []}, "nope", "projects"),
        ("projects list", {"projects": []}, "projects.nope", "projects.name"),
        ("projects sql", {"rows": [{"id": 1}]}, "rows.nope", "rows.id"),
        ("projects rest", [{"id": 1}], "nope", "id"),
        ("wallets list", [], "nope", "address"),
    ],
)
def test_these_are_not(command: str, value: Any, path: str, known: str) -> None:
    with pytest.raises(FlagError) as caught:
        projection.check_fields(value, options(command, path))
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["safe_to_retry"], caught.value.exit_code) == ("BAD_FLAG", True, 1)
    assert known in envelope["details"]["known"]
    assert known in envelope["hint"]


@pytest.mark.parametrize(
    ("command", "value", "path", "meant"),
    [
        ("projects list", {"projects": []}, "name", "projects.name"),
        ("functions list", {"functions": [{"name": "f"}]}, "name", "functions.name"),
        ("escalations list", {"escalations": [], "scope": "all"}, "reason", "escalations.reason"),
        ("projects list", {"projects": [{"of_the": {"gateway": 1}}]}, "of_the.gateway", "projects.of_the.gateway"),
        ("projects list", {"projects": []}, "projcts", "projects"),
        ("projects list", {"projects": []}, "projects.id", "projects.project_id"),
        ("functions runs list", {"runs": []}, "runs.id", "runs.run_id"),
        ("projects list", {"projects": []}, "zzzzzz", None),
    ],
)
def test_a_field_below_the_key_of_a_list_is_offered(command: str, value: Any, path: str, meant: str | None) -> None:
    global_options.reset()
    global_options.remember([*command.split(), "--fields", path])
    with pytest.raises(FlagError) as caught:
        projection.check_fields(value, options(command, path))
    envelope = caught.value.envelope()
    assert envelope["details"]["near"] == ([meant] if meant else [])
    commands = [action["command"] for action in envelope.get("next_actions", [])]
    assert commands == ([f"run402 {command} --fields {meant}"] if meant else [])
    assert (f"Did you mean {meant}?" in envelope["message"]) is bool(meant)


def test_the_other_fields_stay_in_the_command_that_is_offered() -> None:
    global_options.remember(["projects", "list", "--fields=projects.project_id,name"])
    with pytest.raises(FlagError) as caught:
        projection.check_fields({"projects": []}, options("projects list", "projects.project_id", "name"))
    action = caught.value.envelope()["next_actions"][0]
    assert action["argv"] == ["run402", "projects", "list", "--fields", "projects.project_id,projects.name"]
    global_options.reset()


def test_after_a_write_the_result_is_kept_and_no_retry_advised() -> None:
    made = options("secrets set", "nope")
    made.wrote = True
    with pytest.raises(FlagError) as caught:
        projection.check_fields({"status": "ok"}, made)
    envelope = caught.value.envelope()
    assert (envelope["safe_to_retry"], envelope["details"]["result"]) == (False, {"status": "ok"})


def test_what_dry_run_prints_is_another_document() -> None:
    made = options("secrets set", "nope")
    made.dry_run = True
    projection.check_fields({"dry_run": True}, made)
