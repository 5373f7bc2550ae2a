"""The manifest against recorded runs, when they lie beside the checkout; a user's clone skips these tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from schema_kit import chosen, command_of, validate

from run402_cli import command_schemas
from run402_cli.effects import READ, SURFACE

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "conformance"
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded cases are not beside this checkout"),
]
READING_METHODS = {"GET", "HEAD"}
# They ask with POST and change nothing.
READS_BY_POST = {"contracts read", "assets sign", "projects validate-expose", "ai moderate"}
# Local caches and cursors, which a reading command may keep.
CACHES = (
    "credentials/project-keys.v1.json",
    ".run402/",
    "payment-attempts/",
    "allowance.json",
    "wallet.json",
    "doctor",
)
# Whole commands of docs/differences.md, "Additions": their options need no word more.
WHOLLY_OURS = ("core ", "allowance limits ")
STAND_INS = {"str": "x", "num": 1, "bool": True, "null": None, "list": [], "dict": {}}


def test_every_option_that_only_this_program_has_is_among_the_differences() -> None:
    contract = FOLDER.parent / "contract"
    texts = [path.read_text(encoding="utf-8") for kind in ("*.md", "*.yaml") for path in contract.rglob(kind)]
    theirs = set(re.findall(r"--[a-z][a-z0-9-]*", "\n".join(texts)))
    differences = Path(__file__).resolve().parent.parent.joinpath("docs", "differences.md").read_text(encoding="utf-8")
    told = set(re.findall(r"--[a-z][a-z0-9-]*", differences))
    unsaid = {
        f"{name} {flag}"
        for name, command in command_schemas.everything()["commands"].items()
        if not name.startswith(WHOLLY_OURS)
        for option in command["options"]
        for flag in option["flags"]
        if flag.startswith("--") and flag not in theirs | told
    }
    assert unsaid == set()


def successful_runs() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(id, command, case, recording) of the runs that ended with a result."""
    defects = json.loads((FOLDER / "defects.json").read_text(encoding="utf-8"))
    for path in sorted((FOLDER / "recorded").glob("*.json")):
        case = json.loads((FOLDER / "cases" / path.name).read_text(encoding="utf-8"))
        recorded = json.loads(path.read_text(encoding="utf-8"))
        name = command_of(case["argv"])
        if name in SURFACE and recorded["exit"] in (0, 2) and path.stem not in defects:
            yield path.stem, str(name), case, recorded


def test_commands_that_are_called_reading_send_nothing_but_reads() -> None:
    wrong = {
        f"{name}: {request['method']} {request['path']}"
        for _, name, _, recorded in successful_runs()
        for request in recorded["requests"]
        if SURFACE[name].effect == READ and name not in READS_BY_POST and request["method"] not in READING_METHODS
    }
    assert wrong == set()


def test_commands_that_are_called_reading_change_no_file_but_caches() -> None:
    wrong = {
        f"{name}: {file}"
        for _, name, _, recorded in successful_runs()
        for changed in recorded["files"].values()
        for file in changed
        if SURFACE[name].effect == READ and not file.startswith(CACHES)
    }
    assert wrong == set()


def test_commands_that_delete_are_called_destructive() -> None:
    takes_back = {"claims release"}  # a claim is advisory; releasing it is what it is for
    wrong = {
        name
        for _, name, _, recorded in successful_runs()
        for request in recorded["requests"]
        if request["method"] == "DELETE" and SURFACE[name].effect != "destructive" and name not in takes_back
    }
    assert wrong == set()


def test_credentials_of_recorded_requests_are_in_the_table() -> None:
    wrong = {
        f"{name}: {needed}"
        for _, name, _, recorded in successful_runs()
        for request in recorded["requests"]
        for needed in _credentials(request)
        if not needed & set(SURFACE[name].auth)
    }
    assert wrong == set()


def _credentials(request: dict[str, Any]) -> Iterator[frozenset[str]]:
    """For each credential of a request, the auth classes that may stand for it."""
    headers = request["headers"]
    if "x-admin-mode" in headers:
        yield frozenset({"admin"})
    elif "sign-in-with-x" in headers:
        yield frozenset({"principal", "wallet"})
    for header in ("authorization", "apikey"):
        text = str(headers.get(header, ""))
        if "svc_" in text:
            yield frozenset({"service_key"})
        elif "anon_" in text:
            yield frozenset({"anon_key"})


def test_recorded_documents_fit_the_output_schemas() -> None:
    found = [
        f"{case_id}: {problem}"
        for case_id, name, case, recorded in successful_runs()
        for problem in _differences(name, case["argv"], recorded["stdout"])
    ]
    assert found == []


def _differences(name: str, argv: list[str], stdout: dict[str, Any]) -> Iterator[str]:
    flags = {word.split("=")[0] for word in argv if word.startswith("-")}
    # `logs` without words shows its help.
    if argv == ["logs"] or "--help" in argv or "-h" in argv or stdout["kind"] not in ("json", "ndjson", "text"):
        return
    form = chosen(name, flags)
    assert form is not None
    if stdout["kind"] == "text":
        if form["kind"] == "json":
            yield f"{name}: printed text, not JSON"
        return
    for document in [stdout["value"]] if stdout["kind"] == "json" else stdout["values"]:
        yield from validate(name, flags, _filled(document))


def _filled(value: Any) -> Any:
    """The document with a value of the recorded type where the recording left it open."""
    if isinstance(value, str) and value.startswith("<volatile:"):
        return STAND_INS[value.removeprefix("<volatile:").rstrip(">").split("|")[0]]
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    return value


def test_every_group_of_commands_has_been_compared() -> None:
    compared = {name.split()[0] for _, name, _, _ in successful_runs()}
    unseen = {name.split()[0] for name in command_schemas.names()} - compared
    assert unseen <= {"completion", "config", "core", "cdn", "dev", "docs", "mcp", "open", "schema", "skill"}
