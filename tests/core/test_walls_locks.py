"""The gateway's locks are out of reach of whoever can run SQL, and nobody waits for one for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import sql
from database_kit import Databases, owner_of, role_of
from gateway_kit import CONTROL, SETTINGS, Live, prepared
from psycopg.sql import SQL, Identifier

import run402_cli
from run402_cli.core import bootstrap as bootstrap_module
from run402_cli.core import gateway as gateway_module
from run402_cli.core.bootstrap import bootstrap
from run402_cli.core.callers.auth import existing_project
from run402_cli.core.compose import compose
from run402_cli.core.errors import CoreProcessError, GatewayError
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects import lock_rows
from run402_cli.core.projects.locks import project_lock
from run402_cli.core.releases import migration_scripts, migrations
from run402_cli.core.serve import open_gateway

# Every number that the gateway ever locked, and the keys of those that were made of text.
FORMER = """
SELECT pg_advisory_lock(n) FROM unnest(ARRAY[402000001, 402000002, 402000021]) AS n;
SELECT pg_advisory_lock(hashtextextended(k || %(id)s::text, s)) FROM (VALUES ('run402-deploy:', 0),
  ('run402-migration:', 0), ('run402-storage:', 0), ('expose:', 402), ('test ', 403), ('key', 402)) AS v (k, s)
"""


def service_of(project: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {project['service_key']}"}


def post_event(client: httpx.Client, project: dict[str, Any]) -> httpx.Response:
    path = f"/projects/v1/{project['project_id']}/events"
    return client.post(path, json={"event_type": "something_new"}, headers=service_of(project))


@contextmanager
def holding(url: str, *names: str) -> Iterator[None]:
    with psycopg.connect(url) as conn:
        for name in names:
            conn.execute("SELECT internal.core_lock(%s)", (name,))
        yield
        conn.rollback()


def test_the_program_has_no_advisory_lock() -> None:
    files = Path(run402_cli.__file__).parent.rglob("*.py")
    assert [
        str(path) for path in files if "pg_advisory" in path.read_text() or "pg_try_advisory" in path.read_text()
    ] == []


def test_advisory_locks_of_a_project_stop_nothing(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    url = role_of(live.database_url, project["schema_slot"], "anon")
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as conn:
        conn.execute(FORMER.encode(), {"id": project["project_id"]})

        async def start_again() -> None:
            async with live.gateway.connection() as own:
                await bootstrap(own, live.gateway.settings)

        live.run(start_again())
        assert post_event(client, project).status_code == 201
        made = client.post("/projects/v1", json={"name": "test2"}, headers={"Idempotency-Key": "key"})
        assert made.status_code == 201, made.text
        sql(client, made.json(), "CREATE EXTENSION IF NOT EXISTS citext")
        assert client.delete(f"/projects/v1/{project['project_id']}", headers=service_of(project)).status_code == 200


@pytest.mark.parametrize("kind", ["owner", "anon", "service_role"])
def test_no_role_of_a_project_takes_a_lock_of_the_gateway(live: Live, project: dict[str, Any], kind: str) -> None:
    with psycopg.connect(role_of(live.database_url, project["schema_slot"], kind)) as conn:
        for text in (
            "SELECT internal.core_lock('feed')",
            "LOCK TABLE internal.core_locks",
            "INSERT INTO internal.core_locks VALUES ('feed')",
            "SELECT * FROM internal.core_locks FOR UPDATE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(text.encode())
            conn.rollback()


def test_the_lock_that_an_owner_may_take_is_its_own(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    other: dict[str, Any] = client.post("/projects/v1", json={"name": "other"}).json()
    with psycopg.connect(owner_of(live.database_url, project["schema_slot"])) as conn:
        conn.execute("SELECT * FROM run402.lock_expose()")
        assert post_event(client, other).status_code == 201
        assert client.post("/projects/v1", json={"name": "third"}).status_code == 201
        conn.rollback()


def test_a_lock_is_one_transactions_and_leaves_no_row(live: Live) -> None:
    with psycopg.connect(live.database_url) as first, psycopg.connect(live.database_url) as second:
        second.execute("SET lock_timeout = '200ms'")
        second.commit()
        first.execute("SELECT internal.core_lock('a'), internal.core_lock('a')")
        second.execute("SELECT internal.core_lock('b')")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("SELECT internal.core_lock('a')")
        second.rollback()
        first.commit()
        second.execute("SELECT internal.core_lock('a')")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            first.execute("SET LOCAL lock_timeout = '200ms'; SELECT internal.core_lock('a')")
        first.rollback()
        second.commit()
        assert first.execute("SELECT count(*) FROM internal.core_locks").fetchone() == (0,)


def test_waiting_for_a_lock_ends_with_503(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, databases: Databases
) -> None:
    monkeypatch.setattr(gateway_module, "LOCK", "300ms")
    with databases.one() as url:
        impatient = prepared(tmp_path / "data", url)
        impatient.start()
        try:
            base = impatient.settings.public_url
            with httpx.Client(base_url=base, timeout=20, trust_env=False, headers=CONTROL) as client:
                with holding(url, lock_name("project name", "late"), lock_name("idempotency key", "late")):
                    answer = client.post("/projects/v1", json={"name": "late"}, headers={"Idempotency-Key": "late"})
                    assert (answer.status_code, answer.json()["error"]) == (503, "database_busy")
                    assert client.get("/health").status_code == 200
                assert client.post("/projects/v1", json={"name": "late"}).status_code == 201
        finally:
            impatient.stop()


def lock_name(what: str, key: str) -> str:
    """The name of a lock, as the gateway asks for it."""
    asked: list[str] = []

    class Noting:
        async def execute(self, query: str, values: tuple[str]) -> None:
            asked.append(values[0])

    asyncio.run(lock_rows.take(Noting(), what, key))  # type: ignore[arg-type]
    return asked[0]


def test_two_gateways_deploy_one_after_the_other(live: Live, project: dict[str, Any]) -> None:
    async def both() -> list[str]:
        seen: list[str] = []
        other = Gateway(live.gateway.settings, live.database_url)

        async def second() -> None:
            async with project_lock(other, project["project_id"]):
                seen.append("second")

        async with project_lock(live.gateway, project["project_id"]) as conn:
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.4)
            await conn.execute("SELECT 1")
            seen.append("first")
        await waiting
        return seen

    assert live.run(both()) == ["first", "second"]


def test_a_migration_of_a_killed_gateway_is_waited_for(
    live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_FORMER_LOOKS", 2)

    async def wait() -> str:
        async with live.gateway.connection() as conn:
            try:
                await migrations.wait_for_former(conn, await existing_project(conn, project["project_id"]))
            except GatewayError as exc:
                return exc.error
        return "free"

    url = owner_of(live.database_url, project["schema_slot"])
    with psycopg.connect(url, application_name=migrations.SESSION):
        assert live.run(wait()) == "database_busy"
    monkeypatch.setattr(migrations, "_FORMER_LOOKS", 50)
    assert live.run(wait()) == "free"


def test_a_start_that_waits_too_long_says_for_what(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap_module, "PATIENCE", "200ms")

    async def start() -> None:
        await open_gateway(compose(live.gateway.settings, live.database_url))

    with holding(live.database_url, "bootstrap"), pytest.raises(CoreProcessError) as caught:
        live.run(start())
    assert caught.value.code == "CORE_DATABASE_UNUSABLE"
    assert "pg_prepared_xacts" in str(caught.value.hint)


def test_gateways_that_start_at_once_on_an_empty_database_do_not_meet(databases: Databases) -> None:
    name = "run402_at_once"
    server = databases.server
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))

    async def one() -> None:
        async with await psycopg.AsyncConnection.connect(server.url(name), autocommit=True) as conn:
            await bootstrap(conn, SETTINGS)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(4)))

    try:
        asyncio.run(all_of_them())
    finally:
        databases.drop(name)


@pytest.mark.parametrize(
    "text", ["BEGIN; SELECT 1; PREPARE TRANSACTION 'pt'", "select 1; prepare /* x */ transaction 'pt'"]
)
def test_sql_of_a_project_prepares_no_transaction(client: httpx.Client, project: dict[str, Any], text: str) -> None:
    url = f"/projects/v1/admin/{project['project_id']}/sql"
    answer = client.post(url, content=text, headers=service_of(project))
    assert (answer.status_code, answer.json()["error"]) == (403, "sql_forbidden")
    assert "PREPARE TRANSACTION" in answer.json()["message"] and "COMMIT" in answer.json()["message"]
    assert client.post(url, content="PREPARE q AS SELECT 1; EXECUTE q", headers=service_of(project)).status_code == 200


def test_a_migration_prepares_no_transaction() -> None:
    migration = migration_scripts.Migration("1", "x", "BEGIN; PREPARE TRANSACTION 'pt'", None, transactional=False)
    with pytest.raises(GatewayError, match="prepares a transaction"):
        migration_scripts.prepared(migration, migration.sql or "")
