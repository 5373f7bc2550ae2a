"""Migrations that are dumps, that are long, and that find their tables in use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from copies_kit import sql
from deploy_kit import commit, migration, plan

from run402_cli.core.releases import migration_scripts
from run402_cli.core.settings import Settings
from run402_cli.core.sql import locks


def migrate(client: httpx.Client, project: dict[str, Any], text: str, name: str = "1", **more: Any) -> httpx.Response:
    spec = {"project_id": project["project_id"], "database": {"migrations": [migration(name, text, **more)]}}
    planned = plan(client, spec)
    assert planned.status_code == 200, planned.text
    return commit(client, planned.json())


def ready(answer: httpx.Response) -> bool:
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["status"] == "ready")


DUMP = (
    "\ufeff--\n-- PostgreSQL database dump\n--\n\n\\restrict k3y\n\nSET client_encoding = 'UTF8';\n"
    "SELECT pg_catalog.set_config('search_path', '', false);\nSET check_function_bodies = false;\n"
    "CREATE TABLE notes (id int PRIMARY KEY, t text);\n\n"
    "COPY notes (id, t) FROM stdin;\n1\tone; drop table notes; -- '\n2\t\\N\n\\.\n\n\n\\unrestrict k3y\n"
)


@pytest.mark.parametrize("more", [{}, {"transaction": "none"}])
def test_a_dump_is_a_migration(client: httpx.Client, project: dict[str, Any], more: dict[str, Any]) -> None:
    # Applied and applied again: its checksum is that of the bytes, the byte order mark and all.
    assert ready(migrate(client, project, DUMP, **more))
    assert ready(migrate(client, project, DUMP, **more))
    assert sql(client, project, "select * from notes order by id") == [
        {"id": 1, "t": "one; drop table notes; -- '"},
        {"id": 2, "t": None},
    ]


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ("create table t (a int);\n\\connect other\n", "\\connect other, a command of the program psql", "line 2"),
        ("create table t (a int);\n\ncopy t from stdin;\n1\n", "COPY from stdin has no rows", "line 3"),
        (
            "create table t (a int);\ncopy t from stdin;\n1\nx\n\\.\n",
            "invalid input syntax for type integer",
            "COPY t, line 2",
        ),
        ("create table t (a int);\ncopy t to stdout;\n", "use SELECT", ""),
        ("create table t (a int);\ncopy t from stdin;\n1\n\\.\n\nselect nothing;\n", "nothing", "line 6"),
        ("create table t (a int);\ncopy t from stdin;\n1\n\\.\ncommit;\n", "COMMIT", "line 5"),
    ],
)
def test_a_dump_that_cannot_run_is_told_where_and_leaves_nothing(
    client: httpx.Client, project: dict[str, Any], text: str, told: str, line: str
) -> None:
    answer = migrate(client, project, text)
    assert (answer.status_code, answer.json()["code"]) == (400, "MIGRATION_FAILED"), answer.text
    assert told in answer.json()["message"]
    assert line in answer.text
    assert answer.json()["rolled_back"] is True
    assert sql(client, project, "select to_regclass('t')::text as t") == [{"t": None}]


def test_a_long_migration_runs_in_pieces_and_is_one(
    client: httpx.Client, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_scripts, "PIECE_CHARS", 5000)
    rows = "".join(f"INSERT INTO items (id, t) VALUES ({n}, 'it''s; {n}');\n" for n in range(3000))
    text = f"BEGIN;\nCREATE TABLE items (id int, t text);\n{rows}SELECT nothing;\n{rows}COMMIT;\n"
    answer = migrate(client, project, text)
    assert (answer.json()["code"], answer.json()["line"]) == ("MIGRATION_FAILED", 3003), answer.text
    assert sql(client, project, "select to_regclass('items')::text as t") == [{"t": None}]
    assert ready(migrate(client, project, text.replace("SELECT nothing;", "SELECT 'a', pg_sleep(0);")))
    assert sql(client, project, "select count(*)::int as n, max(id) as most from items") == [{"n": 6000, "most": 2999}]
    answer = migrate(client, project, f"{rows}COMMIT;{rows}", "2")
    assert "it contains COMMIT (line 3001)" in answer.json()["message"]


@contextmanager
def reading(client: httpx.Client, project: dict[str, Any], seconds: float) -> Iterator[None]:
    """Somebody reads `items` during the block, or for so long."""
    text = f"select pg_sleep({seconds}) from items limit 1"
    thread = threading.Thread(target=lambda: sql(client, project, text))
    thread.start()
    time.sleep(0.4)
    try:
        yield
    finally:
        thread.join()


@pytest.fixture
def items(client: httpx.Client, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(locks, "PAUSE_SECONDS", 0.1)
    sql(client, project, "create table items (id int); insert into items values (1)")


@pytest.mark.parametrize("more", [{}, {"transaction": "none"}])
def test_a_migration_waits_for_readers_and_keeps_none_waiting(
    client: httpx.Client, project: dict[str, Any], items: None, more: dict[str, Any]
) -> None:
    answers: list[httpx.Response] = []
    change = "select 1; alter table items add t text"
    with reading(client, project, 3):
        thread = threading.Thread(target=lambda: answers.append(migrate(client, project, change, **more)))
        thread.start()
        read = client.get("/admin/v1/rest/items", headers={"apikey": project["service_key"]})
        assert read.json()[0]["id"] == 1
        assert not answers
    thread.join()
    assert ready(answers[0])


def test_a_migration_that_never_gets_its_lock_can_be_deployed_again(
    client: httpx.Client, project: dict[str, Any], items: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "lock_patience", 0.3)
    change = "create table made (a int); alter table items add t text"
    with reading(client, project, 4):
        answer = migrate(client, project, change)
        body = answer.json()
        assert (answer.status_code, body["code"], body["migration_id"]) == (503, "MIGRATION_LOCKED", "1"), answer.text
        assert (body["retryable"], body["safe_to_retry"], body["rolled_back"]) == (True, True, True)
        assert answer.headers["retry-after"] == "5"
        assert body["next_actions"][0]["command"] == "run402 deploy apply"
        assert sql(client, project, "select to_regclass('made')::text as t") == [{"t": None}]
    assert ready(migrate(client, project, change))


def test_a_manifest_that_finds_its_table_in_use_says_so(
    client: httpx.Client, project: dict[str, Any], items: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = {
        "version": "1",
        "tables": [{"name": "items", "expose": True, "policy": "public_read_authenticated_write"}],
    }
    path = f"/projects/v1/admin/{project['project_id']}/expose"
    headers = {"apikey": project["service_key"]}
    with reading(client, project, 4):
        monkeypatch.setattr(Settings, "lock_patience", 0.3)
        answer = client.post(path, json=manifest, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (503, "database_busy"), answer.text
        monkeypatch.setattr(Settings, "lock_patience", 30)
        assert client.post(path, json=manifest, headers=headers).status_code == 200
