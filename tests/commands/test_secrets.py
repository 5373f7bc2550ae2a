"""run402 secrets, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

PATH = f"{BASE}/projects/v1/admin/prj_1/secrets"
SECRET = "hunter2-the-value"


@pytest.mark.parametrize(
    ("args", "stdin", "sent"),
    [
        (("MY_KEY", SECRET), "", SECRET),
        (("prj_1", "MY_KEY", SECRET), "", SECRET),
        (("MY_KEY", "--value", SECRET), "", SECRET),
        (("MY_KEY", "--value", ""), "", ""),
        (("MY_KEY", ""), "", ""),
        (("MY_KEY", "--stdin"), SECRET + "\n", SECRET + "\n"),
        (("MY_KEY", "--file", "-"), SECRET, SECRET),
        (("MY_KEY", "--file", "/dev/stdin"), SECRET, SECRET),
        (("MY_KEY", "--file", "value.txt"), "", "line\nµ\n"),
        (("MY_KEY", "--file", "empty.txt"), "", ""),
    ],
)
def test_set_sends_the_value_as_it_is_and_never_prints_it(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], stdin: str, sent: str
) -> None:
    Path("value.txt").write_bytes("line\nµ\n".encode())
    Path("empty.txt").touch()
    httpx_mock.add_response(method="POST", url=PATH, json={"status": "ok", "value": SECRET})
    outcome = run("secrets", "set", *args, stdin=stdin)
    assert outcome.json == {"key": "MY_KEY", "project_id": "prj_1", "set": True}
    assert len(outcome.out.splitlines()) == 1
    assert SECRET not in outcome.out + outcome.err
    request = httpx_mock.get_requests()[0]
    assert json.loads(request.content) == {"key": "MY_KEY", "value": sent}
    assert request.headers["authorization"] == "Bearer svc_key_1"


@pytest.mark.parametrize(
    ("args", "stdin", "code"),
    [
        ((), "", "BAD_USAGE"),
        (("MY_KEY",), "", "BAD_USAGE"),
        (("MY_KEY", SECRET, "more"), "", "BAD_USAGE"),
        (("MY_KEY", "--stdin"), "", "BAD_USAGE"),
        (("MY_KEY", SECRET, "--stdin"), "x", "BAD_USAGE"),
        (("MY_KEY", "--value", SECRET, "--file", "-"), "x", "BAD_USAGE"),
        (("MY_KEY", "--value", "--dash"), "", "BAD_FLAG"),
        (("MY_KEY", "--file", "missing"), "", "FILE_NOT_FOUND"),
        (("MY_KEY", "--file", "."), "", "NOT_A_FILE"),
        (("MY_KEY", "--stdin"), b"\xff" + SECRET.encode(), "BAD_FILE"),
        ((SECRET, "MY_KEY"), "", "LOCAL_ERROR"),
        (("lower", SECRET), "", "LOCAL_ERROR"),
        (("MY_KEY", f"{SECRET}\udcff"), "", "BAD_USAGE"),
        (("MY_KEY", "--stdin"), SECRET * 300, "LOCAL_ERROR"),
        (("MY_KEY", "--stdin"), "µ" * 2049, "LOCAL_ERROR"),
        (("prj_unknown", "MY_KEY", SECRET), "", "PROJECT_CREDENTIAL_NOT_FOUND"),
    ],
)
def test_set_errors_send_nothing_and_repeat_no_value(
    run: Run, wallet: Path, args: tuple[str, ...], stdin: str | bytes, code: str
) -> None:
    outcome = run("secrets", "set", *args, stdin=stdin)
    assert outcome.error["code"] == code
    assert SECRET not in outcome.err


def test_set_with_two_sources_names_them_in_order(run: Run, wallet: Path) -> None:
    error = run("secrets", "set", "K", "--stdin", "--file", "-", "--value", "v", "w", stdin="x").error
    assert error["details"] == {"sources": ["inline", "--value", "--file stdin", "--stdin"]}


def test_a_refusal_of_the_gateway_does_not_show_the_value(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=403, json={"code": "SECRET_LIMIT", "message": "10 at most"})
    outcome = run("secrets", "set", "K", SECRET)
    assert (outcome.error["code"], outcome.error["http"]) == ("SECRET_LIMIT", 403)
    assert SECRET not in outcome.err


@pytest.mark.parametrize("wrapped", [True, False])
def test_list_shows_names_and_times_only(run: Run, wallet: Path, httpx_mock: HTTPXMock, wrapped: bool) -> None:
    rows = [{"key": "A", "created_at": "t", "value_hash": "h", "value": SECRET}, {"value": "no key"}, "x"]
    httpx_mock.add_response(url=PATH, json={"secrets": rows} if wrapped else rows)
    assert run("secrets", "list").json == {"secrets": [{"key": "A", "created_at": "t"}]}


def test_list_of_a_senseless_answer_is_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=PATH, text="oops", headers={"content-type": "application/json"})
    assert run("secrets", "list").error["code"] == "ANSWER_UNREADABLE"


def test_delete_encodes_the_name(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="DELETE", json={"status": "deleted"})
    assert run("secrets", "delete", "a/b").json == {"key": "a/b", "project_id": "prj_1", "deleted": True}
    assert httpx_mock.get_requests()[0].url.raw_path == b"/projects/v1/admin/prj_1/secrets/a%2Fb"
    assert run("secrets", "delete", "A", "B").error["code"] == "BAD_USAGE"
    assert run("secrets", "list", "A").error["code"] == "BAD_USAGE"
