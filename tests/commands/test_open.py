"""`open`: the address of the console, and a browser only for a person at a terminal."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.client import browser
from run402_cli.commands import open as command

CORE = "http://127.0.0.1:4020"


@pytest.fixture
def core(httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch) -> HTTPXMock:
    """A gateway that answers where RUN402_CORE_URL says."""
    monkeypatch.setenv("RUN402_CORE_URL", CORE)
    httpx_mock.add_response(url=f"{CORE}/health", json={"status": "ok", "mode": "core", "pid": os.getpid()})
    return httpx_mock


@pytest.fixture
def ticket(core: HTTPXMock) -> str:
    url = f"{CORE}/_run402/enter?ticket=t"
    core.add_response(
        method="POST", url=f"{CORE}/_run402/tickets", status_code=201, json={"url": url, "expires_in": 600}
    )
    return url


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that went to the desktop."""
    seen: list[str] = []
    monkeypatch.setattr(command, "hand_over", lambda url: not seen.append(url))
    return seen


def test_without_a_terminal_only_the_address_is_printed(run: Run, ticket: str, opened: list[str]) -> None:
    assert run("open").json == {"url": ticket, "opened": False}
    assert opened == []


def test_at_a_terminal_the_browser_gets_it(
    run: Run, ticket: str, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_at_a_terminal", lambda: True)
    assert run("open").json == {"url": ticket, "opened": True}
    assert opened == [ticket]


@pytest.mark.parametrize("status", [404, 405])
def test_an_older_gateway_shows_it_without_a_ticket(run: Run, core: HTTPXMock, status: int) -> None:
    core.add_response(url=f"{CORE}/_run402/tickets", status_code=status)
    assert run("open").json == {"url": f"{CORE}/_run402/", "opened": False}


@pytest.mark.parametrize(("status", "body"), [(401, "{}"), (403, "{}"), (201, "[]"), (201, "<html>"), (500, "")])
def test_the_gateway_of_another_user_is_told(run: Run, core: HTTPXMock, status: int, body: str) -> None:
    core.add_response(url=f"{CORE}/_run402/tickets", status_code=status, text=body)
    error = run("open").error
    assert (error["code"], error["details"]["status"]) == ("CONSOLE_CLOSED", status)
    assert error["next_actions"][0]["command"] == "run402 core status"


@pytest.mark.parametrize(("stdin", "stdout"), [(True, True), (True, False), (False, True), (False, False)])
def test_both_ends_must_be_the_terminal(monkeypatch: pytest.MonkeyPatch, stdin: bool, stdout: bool) -> None:
    for name, terminal in (("stdin", stdin), ("stdout", stdout)):
        stream = StringIO()
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal, raising=False)
        monkeypatch.setattr(sys, name, stream)
    assert command._at_a_terminal() is (stdin and stdout)


def test_a_project_is_looked_for_without_credentials(run: Run, core: HTTPXMock, ticket: str) -> None:
    core.add_response(url=f"{CORE}/_run402/projects/prj_1", text="<!doctype html>")
    assert run("open", "--project", "prj_1").json == {"url": ticket, "opened": False}
    assert json.loads(core.get_requests()[-1].content) == {"page": "projects/prj_1"}
    for request in core.get_requests():
        assert not {"authorization", "apikey", "sign-in-with-x"} & set(request.headers)


def test_a_project_that_is_not_there_is_told(run: Run, core: HTTPXMock) -> None:
    core.add_response(url=f"{CORE}/_run402/projects/prj_%2F..", status_code=404)
    error = run("open", "--project", "prj_/..").error
    assert (error["code"], error["next_actions"][0]["command"]) == ("PROJECT_NOT_FOUND", "run402 open")


@pytest.mark.parametrize("answer", [{"status": "ok", "mode": "cloud"}, {}, None])
def test_where_no_local_gateway_answers_it_says_how_to_start_one(
    run: Run, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, answer: dict[str, str] | None
) -> None:
    monkeypatch.setenv("RUN402_CORE_URL", BASE)
    if answer is None:
        httpx_mock.add_exception(httpx.ConnectError("refused"))
    else:
        httpx_mock.add_response(url=f"{BASE}/health", json=answer)
    error = run("open").error
    assert error["code"] == "CORE_NOT_FOUND"
    assert error["next_actions"][0]["command"] == "run402 core start --use"


def test_an_argument_that_it_does_not_take_is_refused(run: Run) -> None:
    assert run("open", "prj_1").error["code"] == "BAD_USAGE"


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="the opener of other desktops")
@pytest.mark.parametrize(
    ("script", "display", "taken"),
    [
        ("exit 0", ":0", True),
        ("exit 3", ":0", False),
        ("exec sleep 20", ":0", True),
        ("exit 0", "", False),
        (None, ":0", False),
    ],
)
def test_the_desktop_takes_it_or_not_and_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, display: str, taken: bool
) -> None:
    seen = tmp_path / "seen"
    if script is not None:
        opener = tmp_path / "xdg-open"
        opener.write_text(f'#!/bin/sh\necho "$1" $$ > {seen}\n{script}\n')
        opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(browser, "_OPENER_S", 1.0)
    assert browser.hand_over(CORE) is taken
    assert seen.exists() is (script is not None and bool(display))
    if seen.exists():
        url, process = seen.read_text().split()
        assert url == CORE
        if "sleep" in str(script):
            os.kill(int(process), 15)


def test_on_macos_the_address_is_no_word_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opener = tmp_path / "osascript"
    opener.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\ncat > {tmp_path}/script\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(browser.sys, "platform", "darwin")
    assert browser.hand_over(f'{CORE}/enter?ticket="x\\')
    assert (tmp_path / "words").read_text() == "-\n"
    assert (tmp_path / "script").read_text() == f'open location "{CORE}/enter?ticket=\\"x\\\\"\n'
