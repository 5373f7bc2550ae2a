"""--format csv, and rows that are printed as they come."""

from __future__ import annotations

import csv
import io
import json
import os
import random
from typing import Any

import pytest
from pytest_httpx import HTTPXMock, IteratorStream
from run_kit import Run

from run402_cli import csv_format, exact_json
from run402_cli.client.bounded import NotJson
from run402_cli.client.row_stream import Rows

JSON = {"content-type": "application/json"}
ROWS = '[{"id": 1, "t": "a,\\"b\\"", "n": 1.10, "j": {"p": -0}}, {"id": 2, "t": "", "n": null, "j": [1e400]}]'
LINES = 'id,t,n,j\n1,"a,""b""",1.10,"{""p"":-0}"\n2,"",,[1e400]\n'


def sql_answer(rows: str, fields: str = '[{"name": "id"}]') -> str:
    return f'{{"status": "ok", "schema": "s", "rows": {rows}, "row_count": 2, "fields": {fields}}}'


def test_sql_and_rest_print_csv(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text=sql_answer(ROWS), headers=JSON)
    assert run("projects", "sql", "select 1", "--format", "csv").out == LINES
    assert httpx_mock.get_requests()[0].content == b"select 1"
    httpx_mock.add_response(text=ROWS, headers=JSON)
    assert run("projects", "rest", "items", "--format", "csv").out == LINES
    httpx_mock.add_response(text=ROWS, headers=JSON)
    assert run("projects", "rest", "items", "--format", "csv", "--fields", "t,n").out == 't,n\n"a,""b""",1.10\n"",\n'


def test_lines_of_json_are_printed_as_they_come(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text=sql_answer(ROWS), headers=JSON)
    lines = run("projects", "sql", "select 1", "--jsonl").out.splitlines()
    assert lines[0] == '{"id":1,"t":"a,\\"b\\"","n":1.10,"j":{"p":-0}}'


def test_no_rows_have_a_header(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text=sql_answer("[]", '[{"name": "a"}, {"name": "b c"}]'), headers=JSON)
    assert run("projects", "sql", "select", "--format", "csv").out == "a,b c\n"


def test_columns_that_are_covered_are_said(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    fields = '[{"name": "a"}, {"name": "a"}]'
    httpx_mock.add_response(text=sql_answer('[{"a": 2}]', fields), headers=JSON)
    done = run("projects", "sql", "select", "--format", "csv")
    assert (done.out, "the same name (a)" in done.err) == ("a\n2\n", True)


def test_other_lists_have_the_columns_of_all_rows(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"secrets": [{"key": "A"}, {"key": "B", "note": "x"}]})
    assert run("secrets", "list", "--format", "csv").out.splitlines()[0].startswith("key")


def test_rows_that_differ_are_an_error(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text='[{"a": 1}, {"b": 2}]', headers=JSON)
    done = run("projects", "rest", "rpc/f", "--format", "csv")
    assert (done.exit, "ROWS_DIFFER" in done.err) == (1, True)


def test_an_answer_that_is_no_list_is_one_row(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(text='{"a": 1, "b": "x"}', headers=JSON)
    assert run("projects", "rest", "rpc/f", "--format", "csv").out == "a,b\n1,x\n"


@pytest.mark.parametrize("cut", [1, 30, -1, -3])
def test_rows_that_were_cut_are_an_error(run: Run, wallet: object, httpx_mock: HTTPXMock, cut: int) -> None:
    httpx_mock.add_response(text=sql_answer(ROWS)[:cut], headers=JSON)
    done = run("projects", "sql", "select 1", "--format", "csv")
    assert (done.exit, "ANSWER_UNREADABLE" in done.err) == (1, True)


def test_more_rows_than_a_command_keeps(run: Run, wallet: object, httpx_mock: HTTPXMock) -> None:
    row = json.dumps({"a": "x" * 1_000_000}).encode()
    stream = IteratorStream([b"[", *([row + b","] * 39), row, b"]"])
    httpx_mock.add_response(stream=stream, headers=JSON)
    assert len(run("projects", "rest", "items", "--format", "csv").out) == 2 + 40 * 1_000_001


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_the_same_however_the_answer_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        {"n": chance.choice(["12", "1.10", "-0", "1e400", "7" * 5000]), "t": chance.choice(["\u00e9", "]", '"', "\\"])}
        for _ in range(chance.randrange(5))
    ]
    items = [f'{{"n": {row["n"]}, "t": {json.dumps(row["t"], ensure_ascii=False)}}}' for row in rows]
    items += [str(chance.randrange(10**9))] * chance.randrange(3)
    data = f' {{"a": 1, "rows": [ {" , ".join(items)}] , "b": "rows", "c": 12}} \n'.encode()
    pieces, at = [], 0
    while at < len(data):
        size = chance.randrange(1, 9)
        pieces.append(data[at : at + size])
        at += size
    found = Rows(pieces, "rows")
    assert [exact_json.dumps(row) for row in found] == [exact_json.dumps(exact_json.loads(item)) for item in items]
    assert found.around == {"a": 1, "b": "rows", "c": 12}


@pytest.mark.parametrize("text", ["", "[1,", "[1 2]", "[1]]", "[NaN]", '["\udce9"]', "1"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        list(Rows([text.encode("utf-8", "surrogateescape")]))


def test_any_text_is_read_back() -> None:
    chance = random.Random(os.urandom(8))
    cells: list[Any] = ["".join(chance.choices('ab,"\n\r \\.\u00e9', k=chance.randrange(5))) for _ in range(500)]
    written = "\n".join(csv_format.streamed(({"a": cell, "b": "x"} for cell in cells), list))
    assert [row[0] for row in csv.reader(io.StringIO(written, newline=""))][1:] == cells
