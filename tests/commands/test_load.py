"""projects load: what is sent, how the file is read, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

URL = f"{BASE}/projects/v1/admin/prj_1/load?table=items&format="
ANSWER = {"status": "ok", "table": "items", "rows": 2, "bytes": 9, "sha256": "d", "columns": ["name"]}


@pytest.mark.parametrize(
    ("args", "kind", "media"),
    [
        (("x.csv",), "csv", "text/csv"),
        (("X.CSV",), "csv", "text/csv"),
        (("x.ndjson",), "ndjson", "application/x-ndjson"),
        (("x.jsonl",), "ndjson", "application/x-ndjson"),
        (("x.txt", "--format", "csv"), "csv", "text/csv"),
        (("x.csv", "--format", "jsonl"), "ndjson", "application/x-ndjson"),
        (("-", "--format=ndjson"), "ndjson", "application/x-ndjson"),
    ],
)
def test_the_bytes_are_sent_as_they_are(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], kind: str, media: str
) -> None:
    data = b"\xef\xbb\xbfname\r\ncaf\xe9,\x00"
    httpx_mock.add_response(method="POST", url=URL + kind, json=ANSWER)
    if args[0] != "-":
        Path(args[0]).write_bytes(data)
    assert run("projects", "load", "items", *args, stdin=data).json == ANSWER
    (request,) = httpx_mock.get_requests()
    assert (request.content, request.headers["content-type"]) == (data, media)
    assert request.headers["authorization"] == "Bearer svc_key_1"


def test_again_is_asked_for(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path("x.csv").write_text("name\n")
    httpx_mock.add_response(url=f"{URL}csv&again=true", json=ANSWER)
    assert run("projects", "load", "items", "x.csv", "--again", "--jq", ".rows").out == "2\n"


def test_what_was_loaded_already_names_the_way_to_load_it_again(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path("x.csv").write_text("name\n")
    httpx_mock.add_response(status_code=409, json={"code": "ALREADY_LOADED", "message": "m"})
    from run402_cli import global_options

    global_options.remember(["projects", "load", "items", "x.csv"])
    error = run("projects", "load", "items", "x.csv").error
    assert error["code"] == "ALREADY_LOADED"
    assert [action["command"] for action in error["next_actions"]] == ["run402 projects load items x.csv --again"]
    assert error["next_actions"][0]["confirms"] is True  # the rows would be there twice


def test_refused_rows_are_passed_on(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path("x.csv").write_text("name\n")
    rejects = [{"line": 3, "message": "m", "value": "12345678901234567.890"}]
    told = {"code": "LOAD_REJECTED", "message": "m", "details": {"rejects": rejects, "more": False}}
    httpx_mock.add_response(status_code=400, json=told)
    from run402_cli import global_options

    global_options.remember(["projects", "load", "items", "x.csv"])
    error = run("projects", "load", "items", "x.csv").error
    assert error["details"]["rejects"] == rejects
    (action,) = error["next_actions"]
    assert (action["type"], action["command"]) == ("edit_request", "run402 projects load items x.csv")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), "BAD_USAGE"),
        (("items",), "BAD_USAGE"),
        (("items", "x.csv", "more"), "BAD_USAGE"),
        (("items", "x.txt"), "BAD_USAGE"),
        (("items", "-"), "BAD_USAGE"),
        (("items", "x.csv", "--format", "xml"), "BAD_FLAG"),
        (("items", "absent.csv"), "FILE_NOT_FOUND"),
        (("items", "folder.csv"), "NOT_A_FILE"),
    ],
)
def test_what_cannot_be_loaded_is_said_before_anything_is_sent(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], code: str
) -> None:
    Path("x.csv").write_text("name\n")
    Path("x.txt").write_text("name\n")
    Path("folder.csv").mkdir()
    assert run("projects", "load", *args).error["code"] == code
    assert httpx_mock.get_requests() == []


def test_a_key_file_is_not_sent(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    (wallet / "kept.csv").write_text("name\n")
    error = run("projects", "load", "items", str(wallet / "kept.csv")).error
    assert error["code"] not in ("FILE_NOT_FOUND", "BAD_USAGE")
    assert httpx_mock.get_requests() == []


def test_the_cloud_is_told_apart(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "https://api.run402.com")
    Path("x.csv").write_text("name\n")
    error = run("projects", "load", "items", "x.csv").error
    assert error["code"] == "LOCAL_GATEWAY_REQUIRED"
    assert "projects rest items --method POST --body-file" in error["next_actions"][0]["command"]
    assert httpx_mock.get_requests() == []


def test_a_dry_run_sends_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    Path("x.csv").write_text("name\na\n")
    shown = json.loads(run("projects", "load", "items", "x.csv", "--dry-run").out)
    assert shown["requests"][0]["url"] == f"{URL}csv"
    assert httpx_mock.get_requests() == []
