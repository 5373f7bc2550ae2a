"""What a project owes or does keeps no start waiting, and no session of the gateway as its owner goes on for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from copies_kit import EXPOSE, in_schema, sql
from database_kit import owner_of
from deploy_kit import commit, deploy, plan
from gateway_kit import SETTINGS, Live

from run402_cli.core import bootstrap, gateway, purge, unsettled
from run402_cli.core.errors import GatewayError
from run402_cli.core.expose import rows as expose_rows
from run402_cli.core.releases import commit as committing
from run402_cli.core.releases import take_backs

SLOW = """
CREATE FUNCTION slow(oid, regnamespace) RETURNS boolean LANGUAGE plpgsql AS
  $f$ BEGIN PERFORM pg_sleep(100000); RETURN true; END $f$;
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = regnamespace, FUNCTION = slow);
"""
ARM = "SELECT run402.put_expose('{\"version\":\"1\"}'::json, '{}'::json, true); COMMIT; SELECT 1"
# A statement's timeout and a cancellation can be caught, and the next statement has a timeout of its own.
STUBBORN = """
DO $$ BEGIN
  LOOP BEGIN PERFORM pg_sleep(100000);
    EXCEPTION WHEN query_canceled THEN PERFORM set_config('statement_timeout', '0', false);
  END; END LOOP;
END $$
"""


@pytest.fixture
def owing(client: httpx.Client, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A project whose gateway died between its manifest and its release: t is hidden, and should be open."""
    sql(client, project, "CREATE TABLE t (id int)")
    deploy(client, {"project_id": project["project_id"], "database": {"expose": EXPOSE}})
    hidden = {"version": "1", "tables": [{"name": "t", "expose": False}]}
    planned = plan(client, {"project_id": project["project_id"], "database": {"expose": hidden}}).json()

    async def fail(*_: Any) -> None:
        raise psycopg.OperationalError("gone")

    async def nothing(*_: Any) -> None: ...

    with monkeypatch.context() as broken:
        broken.setattr(expose_rows, "keep", fail)
        broken.setattr(committing, "take_back", nothing)
        assert commit(client, planned).status_code >= 500
    assert read(client, project).status_code == 401
    yield project


def read(client: httpx.Client, project: dict[str, Any]) -> httpx.Response:
    return client.get("/rest/v1/t", headers={"apikey": project["anon_key"]})


def held(live: Live) -> list[str]:
    live.run(purge.purge(live.gateway))
    return list(live.gateway.unsettled.all())


def test_a_project_cannot_say_that_something_is_owed(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    in_schema(live.database_url, project["schema_slot"], SLOW)
    sql(client, project, ARM)
    assert held(live) == []
    # What it can say is that nothing is, about itself.
    for statement in (
        "INSERT INTO internal.core_expose_owed VALUES ('x', '{}')",
        "SELECT * FROM internal.core_expose_owed",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            in_schema(live.database_url, project["schema_slot"], statement)


def test_an_operator_of_the_project_keeps_no_take_back(client: httpx.Client, live: Live, owing: dict[str, Any]) -> None:
    in_schema(live.database_url, owing["schema_slot"], SLOW)
    assert held(live) == [owing["project_id"]]
    live.run(take_backs.settle(live.gateway))
    assert live.gateway.unsettled.all() == []
    assert read(client, owing).status_code == 200
    assert held(live) == []


def test_a_project_that_holds_its_tables_keeps_only_its_own_requests(
    client: httpx.Client, live: Live, owing: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsettled, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(committing, "TAKE_BACK_SECONDS", 0.3)
    other = client.post("/projects/v1", json={"name": "other"}).json()
    sql(client, other, "CREATE TABLE t (id int)")
    deploy(client, {"project_id": other["project_id"], "database": {"expose": EXPOSE}})
    with psycopg.connect(owner_of(live.database_url, owing["schema_slot"])) as holding:
        holding.execute(f"LOCK TABLE {owing['schema_slot']}.t".encode())
        began = time.monotonic()
        assert held(live) == [owing["project_id"]]
        assert time.monotonic() - began < 5
        live.run(take_backs.settle(live.gateway))
        assert read(client, other).status_code == 200
        answer = read(client, owing)
        assert (answer.status_code, answer.json()["error"]) == (503, "database_busy")
        assert "run402 projects apply-expose" in answer.json()["message"]
    live.run(take_backs.settle(live.gateway))
    assert read(client, owing).status_code == 200


def test_what_is_held_is_settled_beside_the_requests(client: httpx.Client, live: Live, owing: dict[str, Any]) -> None:
    assert held(live) == [owing["project_id"]]

    async def work() -> asyncio.Task[None]:
        return asyncio.create_task(take_backs.work(live.gateway))

    working = live.run(work())
    try:
        # It waits until it is right.
        assert read(client, owing).status_code == 200
    finally:
        live.loop.call_soon_threadsafe(working.cancel)


def test_a_manifest_that_is_applied_meanwhile_is_the_last_word(
    client: httpx.Client, live: Live, owing: dict[str, Any]
) -> None:
    assert held(live) == [owing["project_id"]]
    url = f"/projects/v1/admin/{owing['project_id']}/expose"
    answer = client.post(url, json={"version": "1"}, headers={"apikey": owing["service_key"]})
    assert answer.status_code == 200, answer.text
    live.run(take_backs.settle(live.gateway))
    assert read(client, owing).status_code == 401
    assert held(live) == []


def test_a_refused_manifest_owes_nothing(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    sql(client, project, "CREATE TABLE t (id int)")
    planned = plan(client, {"project_id": project["project_id"], "database": {"expose": EXPOSE}}).json()
    sql(client, project, "DROP TABLE t")
    assert commit(client, planned).status_code == 400
    assert held(live) == []


def test_a_session_of_an_owner_ends_whatever_a_function_catches(
    live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "MORE_SECONDS", 0.2)
    roles = in_schema(live.database_url, project["schema_slot"], "SELECT session_user")[0][0].removesuffix("_owner")

    async def run() -> None:
        async with live.gateway.owner_connection(roles, seconds=0.2) as owner:
            await owner.execute(STUBBORN.encode())

    began = time.monotonic()
    with pytest.raises(GatewayError) as caught:
        live.run(run())
    assert (caught.value.status, caught.value.error) == (503, "database_busy")
    assert time.monotonic() - began < 10


def test_a_start_waits_for_no_lock_for_ever(
    live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "PATIENCE", "200ms")

    async def start() -> None:
        async with live.gateway.connection() as conn:
            await bootstrap.bootstrap(conn, SETTINGS)

    with psycopg.connect(live.database_url) as holding:
        holding.execute("SELECT internal.core_lock('bootstrap')")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            live.run(start())
    live.run(start())


def test_what_an_older_version_owed_is_still_owed(live: Live, owing: dict[str, Any]) -> None:
    with psycopg.connect(live.database_url, autocommit=True) as conn:
        conn.execute("ALTER TABLE internal.core_expose ADD COLUMN manifest_before json")
        conn.execute("UPDATE internal.core_expose SET manifest_before = 'null'; DELETE FROM internal.core_expose_owed")

    async def start() -> None:
        async with live.gateway.connection() as conn:
            await bootstrap.bootstrap(conn, SETTINGS)

    live.run(start())
    assert held(live) == [owing["project_id"]]
    live.gateway.unsettled.remove(owing["project_id"])
