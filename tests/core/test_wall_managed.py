"""On a PostgreSQL of somebody else a role without superuser is enough, and the walls are the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import httpx
import psycopg
import pytest
from copies_kit import branch, restore, sql
from database_kit import Databases
from gateway_kit import CONTROL, SETTINGS, prepared
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from run402_cli.core.bootstrap import bootstrap
from run402_cli.core.errors import CoreProcessError
from run402_cli.core.serve import check_external

NAME = "run402_managed"
GROUPS = "anon, authenticated, service_role, project_admin"


@pytest.fixture
def managed(databases: Databases) -> Iterator[str]:
    """A database whose role may create roles, and objects in that database: its URL. The groups are not its own."""
    server = databases.server
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE").format(Identifier(NAME)))
        admin.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(NAME)))
        admin.execute(SQL("GRANT CREATE ON DATABASE {0} TO {0}").format(Identifier(NAME)))
    try:
        yield make_conninfo(server.url(NAME), user=NAME)
    finally:
        databases.drop(NAME)
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(Identifier(NAME)))


def test_groups_of_somebody_else_are_asked_for(managed: str) -> None:
    async def look() -> None:
        async with await psycopg.AsyncConnection.connect(managed, autocommit=True) as conn:
            await bootstrap(conn, SETTINGS)

    with pytest.raises(CoreProcessError) as caught:
        asyncio.run(look())
    assert caught.value.code == "CORE_DATABASE_UNUSABLE"
    assert f"TO {Identifier(NAME).as_string()} WITH ADMIN OPTION" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("host", "encrypted", "told"),
    [("db.example", False, False), ("db.example", True, True), ("127.0.0.1", False, None), ("/run/pg", False, None)],
)
def test_it_is_known_whether_the_way_to_the_database_is_encrypted(
    monkeypatch: pytest.MonkeyPatch, host: str, encrypted: bool, told: bool | None
) -> None:
    connection = AsyncMock()
    connection.__aenter__.return_value = SimpleNamespace(
        info=SimpleNamespace(server_version=180000, host=host, hostaddr=""),
        pgconn=SimpleNamespace(ssl_in_use=encrypted),
    )
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", AsyncMock(return_value=connection))
    assert asyncio.run(check_external("postgresql://x")) is told


PUBLIC_MAY = """
SELECT privilege_type FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))
WHERE datname = current_database() AND grantee = 0 ORDER BY 1
"""


@pytest.mark.parametrize("owned", [True, False])
def test_temporary_objects_are_the_owners_alone_where_the_database_is_the_gateways(
    managed: str, databases: Databases, owned: bool
) -> None:
    with psycopg.connect(databases.server.url(NAME), autocommit=True) as admin:
        admin.execute(f"GRANT {GROUPS} TO {NAME} WITH ADMIN OPTION".encode())
        if owned:
            admin.execute(f"ALTER DATABASE {NAME} OWNER TO {NAME}".encode())

    async def start() -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(managed, autocommit=True) as conn:
            await bootstrap(conn, SETTINGS)
            await bootstrap(conn, SETTINGS)
            return await (await conn.execute(PUBLIC_MAY.encode())).fetchall()

    assert asyncio.run(start()) == ([("CONNECT",)] if owned else [("CONNECT",), ("TEMPORARY",)])


def test_all_of_it_works_without_a_superuser(managed: str, databases: Databases, tmp_path: Path) -> None:
    with psycopg.connect(databases.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"GRANT {GROUPS} TO {NAME} WITH ADMIN OPTION".encode())
    gateway = prepared(tmp_path / "data", managed)
    gateway.start()
    try:
        with httpx.Client(base_url=gateway.settings.public_url, timeout=60, trust_env=False, headers=CONTROL) as client:
            use(client)
    finally:
        gateway.stop()


def use(client: httpx.Client) -> None:
    project: dict[str, Any] = client.post("/projects/v1", json={"name": "managed"}).json()
    path, service = f"/projects/v1/{project['project_id']}", {"Authorization": f"Bearer {project['service_key']}"}
    sql(client, project, "create extension citext; create table notes (id serial primary key, body citext)")
    sql(client, project, "insert into notes (body) values ('one'); alter table notes force row level security")
    tables = [{"name": "notes", "expose": True, "policy": "public_read_authenticated_write"}]
    answer = client.post(
        f"/projects/v1/admin/{project['project_id']}/expose", json={"version": "1", "tables": tables}, headers=service
    )
    assert answer.status_code == 200, answer.text
    snapshot = client.post(f"{path}/snapshots", json={}).json()["snapshot_id"]
    restore(client, path, snapshot)
    child = client.get(f"/projects/v1/{branch(client, project, name='b')['project_id']}").json()
    for place in (project, child):
        assert client.get("/rest/v1/notes", headers={"apikey": place["anon_key"]}).json() == [{"id": 1, "body": "one"}]
        assert len(client.get("/admin/v1/rest/notes", headers={"apikey": place["service_key"]}).json()) == 1
    peek = f"do $$ begin perform * from {child['schema_slot']}.notes; end $$"
    refused = client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=peek, headers=service)
    assert refused.json()["sqlstate"] == "42501"
    left_behind_ends(client, project, service)
    assert client.delete(path, headers=service).status_code == 200


def left_behind_ends(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> None:
    with pytest.raises(httpx.TimeoutException):
        client.post(
            f"/projects/v1/admin/{project['project_id']}/sql",
            content="SELECT pg_sleep(1000)",
            headers=service,
            timeout=0.5,
        )
    others = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
    for _ in range(50):
        if sql(client, project, others) == [{"n": 0}]:
            return
        time.sleep(0.1)
    raise AssertionError("it still runs")
