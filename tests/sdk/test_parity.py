"""The Python API and the command line are two doors to one thing: same names, same words, the same things required."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import refusals_kit
import sdk_commands
import sdk_methods
from pytest_httpx import HTTPXMock
from refusals_kit import Refused, examples
from sdk_namespaces import NAMESPACES

from run402_cli import Run402
from run402_cli.secrecy import CommandLine

METHODS = {
    f"{name}.{method.name}".removeprefix("."): method
    for name in NAMESPACES
    for method in sdk_methods.group(name).methods
}
PAIRED = sorted(sdk_commands.by_method())


def function(name: str) -> Any:
    owner: Any = Run402(api_base="http://127.0.0.1:4999")
    for word in name.split("."):
        owner = getattr(owner, word)
    return owner


def test_every_command_is_a_method_by_the_rule_or_stands_in_a_list() -> None:
    wanted = {command: sdk_commands.method(command) for command in sdk_commands.commands()}
    assert [command for command, name in wanted.items() if name is not None and name not in METHODS] == []
    assert [command for command in sdk_commands.ELSEWHERE if command not in wanted] == []


def test_every_method_is_a_command_or_stands_in_a_list() -> None:
    known = {*sdk_commands.by_method(), *sdk_commands.NO_COMMAND}
    assert sorted(set(METHODS) - known) == []
    assert sorted(known - set(METHODS)) == []


def test_older_names_stay() -> None:
    for name, older in sdk_commands.OLDER_NAMES.items():
        group = type(function(name.split(".")[0]))
        assert getattr(group, older) is getattr(group, name.split(".")[1])


def test_older_groups_stay_and_are_no_copies(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"mailboxes": []}, is_reusable=True)
    with Run402(api_base="http://127.0.0.1:4999") as r:
        r.credentials.import_keys("prj_123", service_key="s", anon_key="a")
        project = r.project("prj_123")
        for group, (newer, names) in sdk_commands.OLDER_GROUPS.items():
            for old, new in names.items():
                assert getattr(getattr(r, group), old).__func__ is getattr(getattr(r, newer), new).__func__
                target = project if newer == "projects" else getattr(project, newer)
                assert inspect.signature(getattr(getattr(project, group), old)) == inspect.signature(
                    getattr(target, new)
                )
        r.expose.apply("prj_123", {"version": "1"})
        project.expose.get()
        r.mailboxes.create("prj_123", "support")
        project.mailboxes.list()
    expose = "/projects/v1/admin/prj_123/expose"
    assert [request.url.path for request in httpx_mock.get_requests()] == [expose, expose, *["/mailboxes/v1"] * 2]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_help_begins_with_what_the_command_does_and_shows_no_private_name(name: str) -> None:
    text = inspect.getdoc(function(name)) or ""
    first = " ".join(text.split("\n\n")[0].split())
    assert first == " ".join((METHODS[name].summary or first).split())
    assert not re.match(r"(GET|POST|PUT|PATCH|DELETE) ", first)
    assert not re.search(r"\b_[A-Za-z]", str(inspect.signature(function(name))))


# -- what is required ---------------------------------------------------------------------------------------------------

# What a call is about stands first in Python, whatever else may name it on the command line.
SUBJECT = {"project_id", "org_id", "room", "spec"}
# Parameters that hold several flags at once: one of those flags is required.
WHOLE = {"body", "changes", "desired", "message", "offer", "settings", "target", "wanted", "what", "wish"}
# Parameters that may be left out in Python although the command line wants a word.
NOT_ASKED = {
    "confirm",  # asked of people; a call is meant
    "visibility",  # has one value
    "output",  # the command writes a file, the call returns the bytes
    "html",  # or text, which no example shows
    "enroll",  # fixed words of the command
    "github",
    "telegram",
    "project",  # the command names it by a flag
    "org_id",
}
# Parameters whose word on the command line is another; of a kind everywhere, or of one method.
WORDS = {
    "abi": {"abi"},
    "binding_id": {"binding", "binding_id"},
    "branch_id": {"branch_project_id"},
    "challenge_id": {"challenge", "challenge_id"},
    "confirmed": {"confirm"},
    "enabled": {"enable", "state"},
    "event_text": {"event_file"},
    "filename": {"file"},
    "files": {"file", "key"},
    "function": {"fn", "name"},
    "grant_id": {"grant", "grant_id"},
    "identifier": {"org"},
    "manifest": {"manifest", "file"},
    "manifest_text": {"manifest", "file"},
    "passkey_id": {"id"},
    "path": {"path", "archive_path"},
    "policy": {"footer_policy"},
    "principal_id": {"principal", "principal_id"},
    "redirect_url": {"redirect"},
    "rows": {"file"},
    "scopes": {"scope"},
    "sha256": {"sha"},
    "source": {"file"},
    "target": {"output"},
    "value": {"value", "file"},
    "wallet": {"address"},
    "address": {"address", "clear"},
}
# Required, though each of its words may go: there are several, or standard input stands for it.
OTHER_WORDS = {
    "notifications.preferences_set.changes",
    "projects.validate_expose.manifest_text",
    "projects.load.format",  # the name of a file says it
}
OF_ONE = {
    "deploy.rehearse.manifest": {"plan_id"},  # the call makes the plan, too
    "deploy.release_diff.new": {"to"},
    "deploy.release_diff.old": {"from"},
    "org.rename.name": {"name", "clear"},
    "projects.sql.text": {"sql"},
    "wallets.adopt.text": {"key"},
    "wallets.rename.old": {"name"},
    "credentials.project_keys_export.reveal": {"reveal"},
}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    return refusals_kit.refused(monkeypatch, capsys, tmp_path)


def shorter(command: str, words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(word, line) for each flag and argument of a line: the line without it."""
    line = CommandLine(words)
    places: dict[int, tuple[str, int]] = {}
    names = [each["name"].lower() for each in sdk_commands.commands()[command]["arguments"]]
    for place, flag, _value in line.places():
        if flag is None:
            places[place] = (names.pop(0) if names else "more", place + 1)
        else:
            start = place if words[place].startswith(flag) else place - 1
            places[start] = (flag.strip("-").replace("-", "_"), place + 1)
    for start, (name, end) in places.items():
        yield name, words[:start] + words[end:]


@pytest.mark.parametrize("name", PAIRED)
def test_a_parameter_is_required_where_its_word_is(name: str, refused: Refused) -> None:
    command = sdk_commands.by_method()[name]
    parameters = inspect.signature(function(name)).parameters.values()
    needed = {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD} - SUBJECT
    wanted = []  # the words that each example cannot do without
    for words in examples(command):
        whole = refused(words)
        wanted.append({word for word, line in shorter(command, words) if refused(line) not in (None, whole)})
    sometimes, always = set().union(*wanted), set.intersection(*wanted) - NOT_ASKED
    spelled = {p: OF_ONE.get(f"{name}.{p}", WORDS.get(p, {p})) for p in needed}
    spelled = {p: names for p, names in spelled.items() if f"{name}.{p}" not in OTHER_WORDS}
    optional = [p for p, names in spelled.items() if not (sometimes if p in WHOLE else sometimes & names)]
    assert optional == [], f"required in Python; {command!r} can do without it"
    if not needed & WHOLE and len(spelled) == len(needed):
        assert always - set().union(*spelled.values()) == set(), f"{command!r} wants it; Python does not"


def test_a_default_is_the_default_of_the_command() -> None:
    wrong = []
    for name in PAIRED:
        options = sdk_commands.commands()[sdk_commands.by_method()[name]]["options"]
        defaults = {each["flags"][0].strip("-").replace("-", "_"): each.get("default") for each in options}
        for p in inspect.signature(function(name)).parameters.values():
            said = next((defaults[w] for w in WORDS.get(p.name, {p.name}) if defaults.get(w)), None)
            default = ",".join(p.default) if isinstance(p.default, tuple) else p.default
            if said is not None and default not in (p.empty, None) and str(default) != str(said):
                wrong.append(f"{name}({p.name}={p.default!r}), {said!r} on the command line")
    assert wrong == []
