"""No command that only looks prints a project's keys, whatever a gateway sends (docs/credentials.md, "Who prints keys")."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

from run402_cli import command_schemas, secrecy
from run402_cli.effects import PASSES_ON, READ, REVEALS, SURFACE

SERVICE, ANON = "r402_service_" + "5e" * 24, "r402_anon_" + "a0" * 24
# Keys of the Cloud are of another form; only the name of the member says what they are.
PLAIN = {name: f"plain-{name}-0123456789" for name in secrecy.NAMES}
KEYS = (SERVICE, ANON, *PLAIN.values(), "svc_key_1", "anon_key_1")
FORMS = (
    (),
    ("--jsonl",),
    ("--format", "text"),
    ("--jq", "."),
    ("--fields", "service_key,anon_key,project,projects,keys_command"),
    ("--verbose",),
    ("--dry-run",),
)
LOOKS = sorted(name for name, row in SURFACE.items() if row.effect == READ and name not in REVEALS | PASSES_ON)
# Where the example of the help would wait, follow, or name a file that is not here.
ARGUMENTS = {
    "deploy verify": "op_123",
    "cdn wait-fresh": "https://app.run402.com/_blob/logo.png --sha " + "ab" * 32 + " --timeout 1",
    "projects validate-expose": "'{}'",
    "docs": "",
    "billing history": "team@example.com",
    "logs": "--request-id req_abc123 --project prj_1",
}

pytestmark = pytest.mark.httpx_mock(assert_all_responses_were_requested=False, can_send_already_matched_responses=True)


def chatty(name: str) -> dict[str, Any]:
    """An answer full of secrets, in itself, in objects, in rows and in texts."""
    row = {"id": "prj_1", **PLAIN, "message": f"signed with {SERVICE}", "key": "k", "name": ANON, "status": "active"}
    project = {**row, "project_id": "prj_1", "anon_key": ANON, "service_key": SERVICE}
    output = command_schemas.output_schema(name) or {}
    named = json.dumps(output).split('"')
    lists = {word: [project, {"deep": [project]}] for word in named if word.isidentifier() and word.endswith("s")}
    return {**lists, **project, "project": project, "tier": "prototype", "sha256": "ab" * 32, "next_cursor": None}


def words_of(name: str) -> list[str]:
    if name in ARGUMENTS:
        return [*name.split(), *shlex.split(ARGUMENTS[name])]
    examples = command_schemas.entry(name).get("examples") or [f"run402 {name}"]
    return shlex.split(examples[0].partition(" | ")[0])[1:]


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("name", LOOKS)
def test_a_command_that_looks_prints_no_key_in_any_form(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    slept, monotonic = [0.0], time.monotonic
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("time.monotonic", lambda: monotonic() + sum(slept))
    httpx_mock.add_callback(lambda _request: httpx.Response(status, json=chatty(name)), is_reusable=True)
    for form in FORMS if status == 200 else ((), ("--verbose",)):
        outcome = run(*words_of(name), *form)
        assert not [key for key in KEYS if key in outcome.out + outcome.err], form
    if {"principal", "service_key", "anon_key"} & {*SURFACE[name].auth}:
        assert httpx_mock.get_requests(), run(*words_of(name)).err


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("get",), ".keys_command"),
        (("current",), ".project.keys_command"),
        (("list",), ".projects[0].keys_command"),
    ],
)
def test_the_answer_names_the_command_that_prints_the_keys(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, words: tuple[str, ...], path: str
) -> None:
    httpx_mock.add_callback(lambda _request: httpx.Response(200, json=chatty(f"projects {words[0]}")), is_reusable=True)
    command = run("projects", *words, "--jq", path, "--raw").out.strip()
    assert command == "run402 credentials project-keys export --project prj_1 --reveal"
    assert run(*shlex.split(command)[1:]).json["service_key"] == "svc_key_1"


def test_an_answer_without_keys_is_not_changed(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"project_id": "prj_1", "name": "r402_link_0123456789", "usage": {"token": 1}, "more": [None, [1.5]]}
    httpx_mock.add_response(json=answer)
    assert run("projects", "get").json == answer


def test_the_commands_made_for_it_print_the_key(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"project_id": "prj_2", "anon_key": ANON, "service_key": SERVICE}
    httpx_mock.add_response(json=answer)
    assert run("projects", "provision", "--name", "two").json["service_key"] == SERVICE


def test_users_of_project_data_get_it_as_it_is(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"rows": [{"service_key": "mine"}], "row_count": 1})
    assert run("projects", "sql", "select service_key from t").json["rows"] == [{"service_key": "mine"}]


def test_an_answer_nested_deeper_than_the_stack_is_cleaned() -> None:
    deep: Any = {"service_key": SERVICE}
    for _ in range(5000):
        deep = [deep]
    shown = secrecy.public(deep)
    while isinstance(shown, list):
        shown = shown[0]
    assert shown == {}


def test_a_dry_run_shows_no_key_in_url_body_or_header(run: Run, wallet: Path) -> None:
    done = run("projects", "sql", f"select '{SERVICE}'", "--dry-run")
    assert done.exit == 0
    assert SERVICE not in done.out
    assert "svc_key_1" not in done.out


def test_every_command_of_the_lists_exists() -> None:
    assert set(SURFACE) >= REVEALS | PASSES_ON
