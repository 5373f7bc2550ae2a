"""What commands print of an answer: its digits, its bytes, and never null for what is no JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

ROWS = '[{"n": 12345678901234567.89, "price": 1.10, "far": 1e400, "big": 9007199254740993, "j": {"p": -0, "p": 2.50}}]'
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ((), ["12345678901234567.89", "1.10", "1e400", "9007199254740993", '"p": -0', '"p": 2.50']),
        (("--fields", "n,far"), ["12345678901234567.89", "1e400"]),
        (("--format", "jsonl"), ["12345678901234567.89", "1.10", "1e400", '"p":-0']),
        (("--format", "text"), ["12345678901234567.89", "1.10", "1e400", "9007199254740993"]),
        (("--jq", ".[0].n"), ["12345678901234567.89"]),
        (("--jq", ".[0].big", "-r"), ["9007199254740993"]),
    ],
)
def test_rest_prints_the_digits_of_the_answer(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...], wanted: list[str]
) -> None:
    httpx_mock.add_response(text=ROWS, headers=JSON)
    done = run("projects", "rest", "items", *flags)
    assert (done.exit, [each for each in wanted if each not in done.out]) == (0, []), done.out


@pytest.mark.parametrize("flags", [("--jq", ".[0].j"), ("--fields", "j.p")])
def test_a_key_that_is_left_out_because_it_comes_again_is_said(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...]
) -> None:
    httpx_mock.add_response(text=ROWS, headers=JSON)
    done = run("projects", "rest", "items", *flags)
    assert ("2.50" in done.out, "twice in one object of the answer: p." in done.err) == (True, True)


def test_sql_sends_and_prints_digits(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text=f'{{"status": "ok", "rows": {ROWS}, "row_count": 1}}', headers=JSON)
    done = run("projects", "sql", "select $1", "--params", "[12345678901234567890.120, 1e400, -0]")
    assert '"far": 1e400' in done.out
    assert b"[12345678901234567890.120,1e400,-0]" in httpx_mock.get_requests()[0].content


@pytest.mark.parametrize("command", [("sql", "select 1"), ("rest", "items"), ("rest", "items", "--method", "DELETE")])
@pytest.mark.parametrize("text", ["{", '{"e": Infinity}', "<html>", "[" * 100_000])
def test_an_answer_that_is_no_json_is_an_error(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, command: tuple[str, ...], text: str
) -> None:
    httpx_mock.add_response(text=text, headers=JSON)
    error = run("projects", *command).error
    assert (error["code"], error["safe_to_retry"]) == ("ANSWER_UNREADABLE", command == ("rest", "items"))


def test_a_page_in_place_of_sql_rows_is_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text="<html>", headers={"content-type": "text/html"})
    assert run("projects", "sql", "select 1").error["code"] == "INTERNAL_ERROR"


def test_a_read_that_was_cut_to_nothing_is_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text="", headers=JSON)
    assert run("projects", "rest", "items").error["code"] == "ANSWER_UNREADABLE"


@pytest.mark.parametrize("params", ['[{"a": 1, "a": 2}]', '[[{"k": {"b": 1, "c": 1, "b": 1}}]]'])
def test_parameters_with_a_key_twice_are_refused(run: Run, wallet: Path, params: str) -> None:
    error = run("projects", "sql", "select $1", "--params", params).error
    assert (error["code"], "occurs twice" in error["message"]) == ("BAD_JSON_FLAG", True)


# -- bytes --------------------------------------------------------------------------------------------------------------

BYTES = bytes([0, 255, 254, 137, 10])


def test_bytes_of_a_function_are_written_as_they_came(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(content=BYTES, headers={"content-type": "image/png"}, is_reusable=True)
    shown = run("functions", "invoke", "b").json
    assert (shown["body"], shown["body_encoding"]) == ("AP/+iQo=", "base64")
    saved = run("functions", "invoke", "b", "--output", "b.png").json
    assert (saved["bytes"], saved["content_type"], Path("b.png").read_bytes()) == (5, "image/png", BYTES)
    assert run("functions", "invoke", "b", "--output", "b.png").error["code"] == "FILE_EXISTS"
    assert run("projects", "rest", "rpc/picture").json == {"body": "AP/+iQo=", "body_encoding": "base64"}


def test_raw_writes_bytes(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from run402_cli.main import _guarded

    httpx_mock.add_response(content=BYTES, headers={"content-type": "image/png"})
    with (tmp_path / "out").open("w", encoding="ascii") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert _guarded(["functions", "invoke", "b", "--raw"]) == 0
    assert (tmp_path / "out").read_bytes() == BYTES


def test_text_keeps_its_charset(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(
        content="caf\xe9".encode("latin-1"), headers={"content-type": "text/plain; charset=latin-1"}
    )
    assert run("functions", "invoke", "t").json["body"] == "caf\xe9"


def test_an_answer_of_a_function_that_is_no_json_is_an_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text="{", headers=JSON, is_reusable=True)
    error = run("functions", "invoke", "t").error
    assert (error["code"], error["safe_to_retry"]) == ("ANSWER_UNREADABLE", False)
    assert json.loads(run("functions", "invoke", "t", "--raw").out + "}") == {}
