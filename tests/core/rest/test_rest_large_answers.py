"""Answers of any size up to 256 MiB: long ones of reads come from a file, what cannot be had in pieces has a most in bytes."""

from __future__ import annotations

import contextlib
import errno
import gc
from pathlib import Path
from typing import Any

import pytest
from library_kit import Library

from run402_cli.core.rest import execute, long_answers
from run402_cli.core.sql import results

MOST = 16 * 1024 * 1024
FORMATS = ("application/json", "text/csv", "application/vnd.pgrst.array+json;nulls=stripped")
PATHS = (
    "/wide",
    "/wide?select=*&order=t.desc,id&limit=40&offset=3",
    "/wide?select=name:t,n,extra,m:id&id=gt.10",
    "/wide?select=id,parts(id,word)&order=id&parts.order=id",
    "/rpc/all_wide?id=lt.30&order=id",
    "/rpc/words",
    "/rpc/arrays",
)


@pytest.fixture(scope="module")
def wide(filled: Library) -> Library:
    filled.sql(
        r"""CREATE TABLE wide (id int PRIMARY KEY, t text, n numeric, extra jsonb);
        INSERT INTO wide SELECT i, repeat(chr(64 + i % 30), 100) || E'"\\,\n\u00e9', nullif(i % 3, 0), '{"a": null, "b": [1]}'
          FROM generate_series(1, 60) i;
        CREATE TABLE parts (id int PRIMARY KEY, wide_id int REFERENCES wide, word text);
        INSERT INTO parts SELECT i, i / 2 + 1, 'word ' || i FROM generate_series(1, 80) i;
        CREATE FUNCTION all_wide() RETURNS SETOF wide LANGUAGE sql STABLE AS 'SELECT * FROM wide';
        CREATE FUNCTION words() RETURNS SETOF text LANGUAGE sql STABLE AS
          $$ SELECT CASE WHEN i % 5 > 0 THEN 'w"' || i END FROM generate_series(1, 300) i $$;
        CREATE FUNCTION arrays() RETURNS SETOF int[] LANGUAGE sql STABLE AS
          $$ SELECT array[i, null] FROM generate_series(1, 300) i $$;
        CREATE FUNCTION told() RETURNS SETOF wide LANGUAGE sql STABLE AS
          $$ SELECT set_config('response.status', '203', true), set_config('response.headers', '[{"X-A": "b"}]', true);
          SELECT * FROM wide $$;
        CREATE FUNCTION one_long(n int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT repeat('x', n) $$;
        CREATE FUNCTION long_rows(n int, size int) RETURNS TABLE (id int, t text) LANGUAGE sql STABLE AS
          $$ SELECT i, repeat('x', size) FROM generate_series(1, n) i $$;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO service_role;
        GRANT ALL ON wide, parts TO service_role"""
    )
    return filled


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is a long answer."""
    monkeypatch.setattr(execute, "SHORT_ANSWER", 10)


def spooled() -> list[str]:
    """Files without a name that this process has open."""
    gc.collect()
    fds = Path("/proc/self/fd")
    found = []
    for fd in fds.iterdir() if fds.is_dir() else ():
        try:
            found.append(str(fd.readlink()))
        except OSError:
            continue
    return [name for name in found if name.endswith("(deleted)") and "gateway" in name]


@pytest.mark.parametrize("media", FORMATS)
@pytest.mark.parametrize("path", PATHS)
def test_a_long_answer_is_the_short_one(wide: Library, monkeypatch: pytest.MonkeyPatch, path: str, media: str) -> None:
    headers = {"Accept": media, "Prefer": "count=exact"}
    short = wide.service.get(path, headers=headers)
    assert short.status_code in (200, 206)
    monkeypatch.setattr(execute, "SHORT_ANSWER", 10)
    answer = wide.service.get(path, headers=headers)
    assert answer.content == short.content
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.status_code == short.status_code
    for name in ("Content-Range", "Content-Type", "Preference-Applied", "Content-Location", "Cache-Control"):
        assert answer.headers.get(name) == short.headers.get(name)


@pytest.mark.usefixtures("long")
def test_what_is_no_rows_of_a_long_answer(wide: Library) -> None:
    head = wide.service.head("/wide")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(wide.service.get("/wide").content)
    assert "Content-Length" not in wide.service.head("/wide", headers={"Accept": "text/csv"}).headers
    told = wide.service.get("/rpc/told")
    assert (told.status_code, told.headers["X-A"], len(told.json())) == (203, "b", 60)
    part = wide.service.get("/wide?limit=10", headers={"Prefer": "count=exact"})
    assert (part.status_code, part.headers["Content-Range"]) == (206, "0-9/60")
    behind = wide.service.get("/wide?offset=100", headers={"Prefer": "count=exact"})
    assert behind.status_code == 416
    one = {"Accept": "application/vnd.pgrst.object+json"}
    assert wide.service.get("/wide?id=eq.1", headers=one).json()["id"] == 1
    strict = {"Prefer": "handling=strict, max-affected=5"}
    assert wide.service.get("/rpc/all_wide", headers=strict).json()["code"] == "PGRST124"


def test_a_large_answer_is_sent_and_a_single_value_has_a_most(wide: Library) -> None:
    rows = wide.service.get("/rpc/long_rows?n=20000&size=1000").json()
    assert [row["id"] for row in rows] == list(range(1, 20001))
    assert len(wide.service.get(f"/rpc/one_long?n={MOST - 2}").content) == MOST
    for path in (f"/rpc/one_long?n={MOST}", f"/rpc/long_rows?n=2&size={MOST}"):
        refused = wide.service.get(path)
        assert (refused.status_code, refused.json()["code"]) == (400, "RESULT_TOO_LARGE")
    # A call by POST may write, and is not made twice.
    refused = wide.service.post("/rpc/long_rows", json={"n": 20000, "size": 1000})
    assert (refused.status_code, refused.json()["code"]) == (400, "RESULT_TOO_LARGE")


def test_an_answer_above_the_most_is_refused_and_its_hint_fits(wide: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "SHORT_ANSWER", 1000)
    monkeypatch.setattr(execute, "MOST_BYTES", 5000)
    refused = wide.service.get("/wide")
    assert (refused.status_code, refused.json()["code"]) == (400, "RESULT_TOO_LARGE")
    limit = refused.json()["hint"].partition("limit=")[2].partition("&")[0]
    page = wide.service.get(f"/wide?limit={limit}&order=id")
    assert (page.status_code, len(page.json())) == (200, int(limit))
    # It has grown since it was measured.
    monkeypatch.setattr(execute, "MOST_BYTES", results.MOST_BYTES)
    monkeypatch.setattr(long_answers, "MOST_BYTES", 5000)
    refused = wide.service.get("/wide")
    assert (refused.status_code, refused.json()["code"]) == (400, "RESULT_TOO_LARGE")
    assert wide.service.get("/wide?limit=2").status_code == 200


def test_a_write_that_shows_too_much_is_taken_back(wide: Library) -> None:
    wide.sql("CREATE TABLE heavy (id int, t text); GRANT ALL ON heavy TO service_role")
    wide.sql("INSERT INTO heavy SELECT i, repeat('x', 1000) FROM generate_series(1, 18000) i")
    shown = wide.service.patch("/heavy?id=gt.0", json={"t": "y" * 1000}, headers={"Prefer": "return=representation"})
    assert (shown.status_code, shown.json()["code"]) == (400, "RESULT_TOO_LARGE")
    assert wide.service.get("/heavy?select=id&t=like.y*&limit=1").json() == [], "nothing was changed"
    silent = wide.service.patch("/heavy?id=gt.0", json={"t": "y" * 1000}, headers={"Prefer": "return=minimal"})
    assert silent.status_code == 204
    assert wide.service.get("/heavy?select=id&t=like.x*&limit=1").json() == []


@pytest.mark.usefixtures("long")
def test_a_full_disk_is_507_and_leaves_nothing(wide: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(text: results.Text) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(results.Text, "_write", full)
        patched.setattr(results, "_PART", 10)
        assert wide.service.get("/wide").status_code == 507
    assert len(wide.service.get("/wide").json()) == 60


@pytest.mark.usefixtures("long")
def test_places_and_files_are_given_back(wide: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them one after the other than a project may have at once, sent, refused, failed and left."""
    monkeypatch.setattr(results, "IN_MEMORY", 100)
    for _ in range(10):
        assert len(wide.service.get("/wide").json()) == 60
        with wide.service.stream("GET", "/rpc/long_rows?n=20000&size=1000") as left:
            assert left.status_code == 200
        assert wide.service.get("/wide?select=id,t&id=eq.1&t=like.*%00").status_code >= 400
    with monkeypatch.context() as patched:
        patched.setattr(long_answers, "MOST_BYTES", 5000)
        for _ in range(10):
            assert wide.service.get("/wide").status_code == 400
    assert len(wide.service.get("/wide").json()) == 60
    assert spooled() == []


@pytest.mark.usefixtures("long")
def test_a_project_has_half_of_the_places(wide: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not read what was asked for takes no more than that; who comes too late is told."""
    monkeypatch.setattr("run402_cli.core.shares.PATIENCE_SECONDS", 0.2)
    waiting: list[Any] = []
    for _ in range(8):
        waiting.append(wide.service.stream("GET", "/rpc/long_rows?n=20000&size=1000"))
        assert waiting[-1].__enter__().status_code == 200
    if Path("/proc/self/fd").is_dir():
        assert len(spooled()) == 8
    refused = wide.service.get("/wide")
    assert (refused.status_code, refused.json()["error"]) == (503, "database_busy")
    for stream in waiting:
        stream.__exit__(None, None, None)
    monkeypatch.setattr("run402_cli.core.shares.PATIENCE_SECONDS", 15.0)
    assert len(wide.service.get("/wide").json()) == 60


@pytest.mark.usefixtures("long")
def test_who_does_not_read_keeps_no_place(wide: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_answers, "SENDING_SECONDS", 0.5)
    with contextlib.ExitStack() as streams:
        for _ in range(8):
            stream = wide.service.stream("GET", "/rpc/long_rows?n=20000&size=1000")
            assert streams.enter_context(stream).status_code == 200
        assert len(wide.service.get("/wide").json()) == 60
