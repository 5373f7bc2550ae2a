"""The database has digests of a project's keys: who reads it learns none, and whoever holds one is known by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import psycopg
from database_kit import Databases
from gateway_kit import CONTROL, Live, prepared


def everything(url: str, but: str = "") -> str:
    """All rows of all tables of the gateway."""
    with psycopg.connect(url) as conn:
        query = (
            "SELECT oid::regclass::text FROM pg_class"
            " WHERE relkind = 'r' AND relname LIKE 'core\\_%%' AND relname <> %s"
        )
        tables = conn.execute(query, (but,))
        rows = [conn.execute(f"SELECT string_agg(t::text, '') FROM {name} t".encode()) for (name,) in tables.fetchall()]
        return "".join(row[0] or "" for found in rows for row in found.fetchall())


def test_no_table_has_a_key(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    text = everything(live.database_url)
    assert project["project_id"] in text
    assert project["anon_key"] not in text
    assert project["service_key"] not in text
    shown = client.get(f"/projects/v1/{project['project_id']}").json()
    assert (shown["anon_key"], shown["service_key"]) == (project["anon_key"], project["service_key"])


def test_no_table_has_another_secret(client: httpx.Client, live: Live, project: dict[str, Any]) -> None:
    path, service, anon = f"/projects/v1/{project['project_id']}", project["service_key"], project["anon_key"]
    admin = path.replace("/v1/", "/v1/admin/")

    def post(url: str, body: dict[str, Any], key: str = service) -> dict[str, Any]:
        answer = client.post(url, headers={"apikey": key}, json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    user = {"email": "ada@example.com", "password": "correct horse battery"}
    post("/auth/v1/signup", user, anon)
    session = post("/auth/v1/token?grant_type=password", user, anon)
    post(f"{admin}/secrets", {"key": "API_TOKEN", "value": "plain-to-see"})
    snapshot = post(f"{path}/snapshots", {})["snapshot_id"]
    post("/auth/v1/magic-link", {"email": user["email"], "redirect_url": "http://localhost/in"}, anon)
    mail = client.get("/mailboxes/v1/outbox", headers={"apikey": service}).json()["messages"][0]["body_text"]
    link = re.search(r"token=([\w-]+)", mail)
    assert link is not None
    secrets = [
        *(user["password"], session["access_token"], session["refresh_token"], "plain-to-see", link[1]),
        post(f"{path}/credentials", {"kind": "service", "name": "robot"})["secret"],
        post(f"{path}/snapshots/{snapshot}/restore", {})["restore_plan"]["confirm"]["token"],
        post("/auth/v1/dev-tokens", {"project_id": project["project_id"]})["token"],
    ]
    # The outbox is where a developer reads the mails, links and codes in them.
    text = everything(live.database_url, but="core_email_messages")
    assert user["email"] in text
    assert [secret for secret in secrets if secret in text] == []


def test_another_data_directory_checks_keys_that_it_cannot_show(databases: Databases, tmp_path: Path) -> None:
    with databases.one() as url:
        project: dict[str, Any] = {}
        for name in ("first", "second"):
            running = prepared(tmp_path / name, url, secrets=name)
            running.start()
            with httpx.Client(base_url=running.settings.public_url, timeout=60, trust_env=False) as client:
                project = project or client.post("/projects/v1", json={"name": "moved"}, headers=CONTROL).json()
                path = f"/projects/v1/{project['project_id']}"
                shown = client.get(path, headers=CONTROL)
                service = {"apikey": project["service_key"]}
                ran = client.post(
                    f"/projects/v1/admin/{project['project_id']}/sql", content="select 1 as n", headers=service
                )
            running.stop()
            assert ran.json()["rows"] == [{"n": 1}]
            if name == "first":
                assert shown.json()["service_key"] == project["service_key"]
            else:
                assert (shown.status_code, shown.json()["code"]) == (503, "KEYS_UNREADABLE")
                assert "private/secrets.json" in shown.json()["message"]
