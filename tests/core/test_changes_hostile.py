"""What a session of a project does to hear of changes, and to what is said after its request was committed."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any, NoReturn

import httpx
import psycopg
import pytest
from copies_kit import sql
from database_kit import owner_of
from gateway_kit import Live
from remembered_kit import service

from run402_cli.core import change_rows, role_connection
from run402_cli.core.rest import handler


@pytest.fixture
def project(client: httpx.Client) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/projects/v1", json={"name": "hostile"}).json()
    sql(client, made, "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one')")
    return made


@pytest.mark.parametrize("change", ["CREATE TABLE {}.other (id int)", "DROP TABLE {}.items"])
def test_no_session_of_a_project_is_shown_where_changes_are_told(
    live: Live, project: dict[str, Any], change: str
) -> None:
    said: list[str] = []
    with psycopg.connect(owner_of(live.database_url, project["schema_slot"]), autocommit=True) as conn:
        conn.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        conn.execute("SET client_min_messages = debug1; SET trace_notify = on; SET debug_print_plan = on")
        conn.execute("NOTIFY mine")
        assert "Async_Notify(mine)" in said
        conn.execute(change.format(project["schema_slot"]).encode())
    with psycopg.connect(live.database_url) as admin:
        channel = admin.execute("SELECT name FROM internal.core_channel").fetchone()
    assert channel and not [text for text in said if channel[0] in text]


def test_what_was_committed_is_told_as_done_though_its_session_cannot_be_cleaned(
    client: httpx.Client, project: dict[str, Any]
) -> None:
    sql(
        client,
        project,
        """
      CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS $f$
      BEGIN
        INSERT INTO items VALUES (2, 'left');
        FOR n IN 1..300 LOOP EXECUTE format('CREATE TEMP TABLE t%s (id int PRIMARY KEY, name text)', n); END LOOP;
        PERFORM set_config('statement_timeout', '1ms', false);
        RETURN 7;
      END $f$""",
    )
    answer = client.post("/admin/v1/rest/rpc/leave", headers=service(project), json={})
    there = client.get("/admin/v1/rest/items?name=eq.left", headers=service(project)).json()
    # On a slow machine the time of the COMMIT itself is over: then nothing was committed.
    assert (answer.status_code == 200) == (len(there) == 1), answer.text


def test_what_takes_the_place_of_a_quiet_table_leaves_nothing(
    client: httpx.Client, live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the schema and the read a view comes in, with a function behind it."""
    slot, headers = project["schema_slot"], service(project)
    sql(
        client,
        project,
        """
      CREATE FUNCTION leave(name text) RETURNS text LANGUAGE plpgsql AS $f$
        BEGIN PERFORM set_config('my.flag', name, false); RETURN name; END $f$;
      CREATE FUNCTION left_behind() RETURNS text LANGUAGE sql AS $f$ SELECT current_setting('my.flag', true) $f$""",
    )
    assert client.get("/admin/v1/rest/items", headers=headers).status_code == 200
    made = handler._session

    def late(*given: Any) -> Any:
        with psycopg.connect(owner_of(live.database_url, slot)) as conn:
            conn.execute(f"SET search_path = {slot}; ALTER TABLE items RENAME TO hidden".encode())
            conn.execute("CREATE VIEW items AS SELECT id, leave(name) AS name FROM hidden")
            reader = conn.info.user.removesuffix("owner") + "service_role"
            conn.execute(f"GRANT SELECT ON items TO {reader}".encode())
        return made(*given)

    with monkeypatch.context() as changed:
        changed.setattr(handler, "_session", late)
        assert client.get("/admin/v1/rest/items", headers=headers).json() == [{"id": 1, "name": "one"}]
    answer = client.post("/admin/v1/rest/rpc/left_behind", headers=headers, json={})
    assert (answer.status_code, answer.json() or None) == (200, None)


# An error, and the end of the session.
FAILS = (b"SELECT 1 / 0", b"SELECT set_config('transaction_timeout', '1ms', true), pg_sleep(30)")


@pytest.mark.parametrize("clean", FAILS)
def test_so_it_is_when_the_connection_is_lost_after_the_commit(
    client: httpx.Client, live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch, clean: bytes
) -> None:
    headers = service(project)
    # A session that used a sequence is cleaned.
    sql(client, project, "CREATE SEQUENCE n; ALTER TABLE items ALTER COLUMN name SET DEFAULT nextval('n')::text")
    with monkeypatch.context() as changed:
        changed.setattr(role_connection, "CLEAN", clean)
        answer = client.post("/admin/v1/rest/items", headers=headers, json={"id": 2})
        assert (answer.status_code, answer.text) == (201, "")
        assert not live.gateway.logins._idle
    assert len(client.get("/admin/v1/rest/items?id=eq.2", headers=headers).json()) == 1


def test_a_session_that_keeps_notifications_from_being_taken_away_is_ended(live: Live, project: dict[str, Any]) -> None:
    owner = owner_of(live.database_url, project["schema_slot"])

    async def relieve(most: float, seconds: float) -> int:
        async with live.gateway.connection() as conn:
            return await change_rows.relieve(conn, most, seconds)

    with psycopg.connect(owner, autocommit=True) as hearing, psycopg.connect(owner, autocommit=True) as idle:
        for conn in (hearing, idle):
            conn.execute("LISTEN mine")
        hearing.execute("BEGIN")
        for _ in range(40):
            idle.execute("SELECT pg_notify('mine', n || repeat('x', 7000)) FROM generate_series(1, 20) AS n")
        assert live.run(relieve(0.0, 3600)) == 0
        assert live.run(relieve(0.25, 0)) == 0
        assert live.run(relieve(0.0, 0)) == 1
        with pytest.raises(psycopg.OperationalError):
            hearing.execute("SELECT 1")
        idle.execute("SELECT 1")


def test_the_socket_of_a_lost_listener_is_no_longer_looked_at(
    live: Live, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is that of the next connection, which nobody would hear otherwise."""
    changes, asked = live.gateway.changes, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    lost = changes._conn
    assert lost is not None

    async def away() -> NoReturn:
        raise psycopg.OperationalError("PostgreSQL is away")

    with contextlib.ExitStack() as opened, psycopg.connect(live.database_url, autocommit=True) as admin:
        # They have their numbers already; the gateway's ends of them have not.
        ours = [opened.enter_context(socket.socket()) for _ in range(20)]
        monkeypatch.setattr(changes, "_listen", away)
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (lost.info.backend_pid,))
        while changes._conn is not None:
            time.sleep(0.001)
        for one in ours:
            one.settimeout(10)
            one.connect((client.base_url.host, client.base_url.port or 80))
            one.sendall(asked)
        assert [one.recv(12) for one in ours] == [b"HTTP/1.1 200"] * 20
