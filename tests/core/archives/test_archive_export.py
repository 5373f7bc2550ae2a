"""A project becomes an archive that verifies, and a second gateway makes the same project of it."""

from __future__ import annotations

import asyncio
import json
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deploy_kit as deploy
import httpx
import psycopg
import pytest
from database_kit import Databases
from gateway_kit import CONTROL, Live, prepared

from run402_cli.archive.verify import verify
from run402_cli.core.archives import exporting
from run402_cli.core.archives.dumping import portable
from run402_cli.core.purge import purge
from run402_cli.release.state import state_digest

SCHEMA = """
create type mood as enum ('ok', 'bad');
create table people (id bigint generated always as identity primary key, owner_id text not null, name text, m mood,
  tags text[] default '{}', data jsonb, photo bytea, at timestamptz default '2026-01-02T03:04:05Z',
  upper_name text generated always as (upper(name)) stored);
create table notes (id serial primary key, person bigint references people on delete cascade, body text not null,
  check (length(body) < 100));
create table "Odd Name" ("a b" int, "select" text, primary key ("select", "a b"));
create table no_key (x text, y json);
create domain cents as int;
create function cents_json(cents) returns json language sql immutable as $$ select to_json(($1 / 100.0)::numeric(9, 2)) $$;
create cast (cents as json) with function cents_json(cents) as implicit;
create view prices as select 250::cents as price;
create table parts (k int, v text) partition by range (k);
create table parts_low partition of parts for values from (0) to (10);
create view named as select id, name from people;
create materialized view counted as select count(*) as n from people;
create index notes_person on notes (person);
create function total() returns bigint language sql security definer as $$ select count(*) from people $$;
create function quoted() returns text language plpgsql as $$ begin return 'it''s; -- not a comment'; end $$;
create function touch() returns trigger language plpgsql as $$ begin new.body := trim(new.body); return new; end $$;
create trigger notes_touch before insert on notes for each row execute function touch();
comment on table people is 'who; and -- why';
insert into people (owner_id, name, m, tags, data, photo) values
  ('alice', E'tab\\there\\nline\\\\slash', 'ok', '{"a b","c,d"}', '{"x": [1, null]}', '\\x00ff'),
  ('bob', null, null, null, null, null), ('alice', '\\N', 'bad', '{}', '"s"', '\\x');
insert into notes (person, body) values (1, ' first '), (2, 'second');
insert into "Odd Name" values (2, 'b'), (1, 'a');
insert into no_key values ('z', '{"a": 1}'), ('a', null), ('z', '{"a": 1}');
insert into parts values (3, 'three');
refresh materialized view counted;
"""
EXPOSE = {
    "version": "1",
    "tables": [
        {"name": "people", "expose": True, "policy": "user_owns_rows", "owner_column": "owner_id"},
        {
            "name": "notes",
            "expose": True,
            "policy": "custom",
            "custom_sql": "CREATE POLICY read_all ON notes FOR SELECT TO anon USING (true);",
        },
    ],
    "rpcs": [{"name": "total", "signature": "()", "grant_to": ["anon"]}],
}
PAGE, SCRIPT = b"<h1>exported</h1>", b"console.log(1)"
SOURCE = b"import { word } from './lib/word.js';\nexport default async () => new Response(word + process.env.KEY);\n"
LIBRARY = b"export const word = 'round trip ';\nexport default () => new Response(word);\n"


@dataclass(frozen=True)
class Second:
    """Another gateway, and the database below it."""

    client: httpx.Client
    database_url: str


@pytest.fixture
def second(databases: Databases, tmp_path: Path) -> Iterator[Second]:
    """Another gateway with its own database, data directory and secrets."""
    with databases.one() as url:
        running = prepared(tmp_path / "second", url, secrets="other")
        running.start()
        with httpx.Client(base_url=running.settings.public_url, timeout=60, trust_env=False, headers=CONTROL) as client:
            yield Second(client, url)
        running.stop()


def build(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> None:
    """Fill a project with one of everything."""
    pid = project["project_id"]
    secret = {"key": "KEY", "value": "source value"}
    assert client.post(f"/projects/v1/admin/{pid}/secrets", json=secret, headers=service).status_code == 200
    function = {
        "runtime": "node22",
        "entrypoint": "main.js",
        "files": {"main.js": deploy.ref(SOURCE), "lib/word.js": deploy.ref(LIBRARY)},
        "config": {"timeoutSeconds": 5},
    }
    gated = {"runtime": "node22", "source": deploy.ref(LIBRARY), "requireAuth": True}
    spec = {
        "project": pid,
        "database": {"migrations": [deploy.migration("001_all", SCHEMA)], "expose": EXPOSE},
        "site": {
            "replace": deploy.site({"index.html": PAGE, "app.0123456789ab.js": SCRIPT}),
            "public_paths": {"mode": "explicit", "replace": {"/": {"asset": "index.html"}}},
        },
        "functions": {"replace": {"api": function, "gated": gated}},
        "secrets": {"require": ["KEY"]},
        "routes": {
            "replace": [
                {"pattern": "/api/*", "target": {"type": "function", "name": "api"}},
                {"pattern": "/gated", "methods": ["GET"], "target": {"type": "function", "name": "gated"}},
                {"pattern": "/script", "target": {"type": "static", "file": "app.0123456789ab.js"}},
            ]
        },
        "subdomains": {"set": ["exported-shop"]},
        "assets": {
            "put": [
                {
                    "key": "a/public.txt",
                    "sha256": deploy.sha256(b"public"),
                    "size_bytes": 6,
                    "content_type": "text/plain",
                },
                {
                    "key": "a/private.bin",
                    "sha256": deploy.sha256(b"private"),
                    "size_bytes": 7,
                    "visibility": "private",
                    "metadata": {"n": 1},
                },
            ]
        },
    }
    deploy.deploy(client, spec, PAGE, SCRIPT, SOURCE, LIBRARY, b"public", b"private")


def export(client: httpx.Client, project_id: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    """Start an export and wait for its end."""
    answer = client.post(f"/projects/v1/{project_id}/archives", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    archive: dict[str, Any] = answer.json()
    for _ in range(600):
        if archive["status"] != "running":
            return archive
        time.sleep(0.05)
        archive = client.get(f"/projects/v1/{project_id}/archives/{archive['archive_id']}").json()
    raise AssertionError("the export does not end")


def download(client: httpx.Client, archive: dict[str, Any], path: Path) -> Path:
    answer = client.get(archive["download_url"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-tar"
    path.write_bytes(answer.content)
    assert (len(answer.content), deploy.sha256(answer.content)) == (archive["byte_count"], archive["sha256"])
    return path


def rows(client: httpx.Client, project: dict[str, Any], sql: str) -> Any:
    headers = {"Authorization": f"Bearer {project['service_key']}"}
    answer = client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=sql, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def seen(client: httpx.Client, project: dict[str, Any]) -> dict[str, Any]:
    """What users, visitors and the owner see of a project."""
    pid, anon = project["project_id"], {"apikey": project["anon_key"]}
    token = client.post("/auth/v1/dev-tokens", json={"project_id": pid, "sub": "alice"}).json()["token"]
    user = {**anon, "Authorization": f"Bearer {token}"}
    static = f"/projects/v1/{pid}/static"
    answers = {
        "people of alice": client.get("/rest/v1/people?order=id", headers=user),
        "people of nobody": client.get("/rest/v1/people", headers=anon),
        "notes": client.get("/rest/v1/notes?order=id", headers=anon),
        "hidden": client.get("/rest/v1/no_key", headers=anon),
        "written by a cast": client.get("/admin/v1/rest/prices", headers={"apikey": project["service_key"]}),
        "rpc": client.post("/rest/v1/rpc/total", json={}, headers=anon),
        "page": client.get(f"{static}/"),
        "undeclared": client.get(f"{static}/app.0123456789ab.js"),
        "alias": client.get(f"{static}/script"),
        "function": client.get(f"{static}/api/x"),
        "gated": client.get(f"{static}/gated"),
        "public object": client.get(f"/projects/v1/{pid}/storage/public/a/public.txt"),
        "private object": client.get(f"/projects/v1/{pid}/storage/public/a/private.bin"),
    }
    tables = ("people", "notes", '"Odd Name"', "no_key", "parts", "named", "counted")
    return {
        **{name: (answer.status_code, _body(answer)) for name, answer in answers.items()},
        **{name: rows(client, project, f"select t::text as row from {name} t order by 1") for name in tables},
        "functions": rows(client, project, "select quoted() as q, total() as t"),
    }


def _body(answer: httpx.Response) -> Any:
    return answer.text if answer.is_success else answer.json().get("code")


def release_digest(database_url: str, project: dict[str, Any]) -> str:
    """The digest of the active release's state without subdomains, which do not travel."""
    sql = f"select state from internal.core_releases where project_id = '{project['project_id']}'"
    with psycopg.connect(database_url) as conn:
        state: Any = conn.execute(sql.encode()).fetchone()
    return state_digest({**state[0], "subdomains": {"names": []}})


def import_into(client: httpx.Client, path: Path, **more: Any) -> dict[str, Any]:
    answer = client.post("/archives/v1/import", json={"archive_path": str(path), **more})
    assert answer.status_code == 201, answer.text
    assert answer.json()["diagnostics"] == []
    project: dict[str, Any] = client.get(f"/projects/v1/{answer.json()['project_id']}").json()
    return project


def test_a_project_survives_the_journey_to_another_gateway(
    client: httpx.Client,
    second: Second,
    project: dict[str, Any],
    service: dict[str, str],
    tmp_path: Path,
    database_url: str,
) -> None:
    there = second.client
    build(client, project, service)
    before = seen(client, project)
    assert before["written by a cast"] == (200, '[{"price":2.50}]')
    assert before["function"] == (200, "round trip source value")
    archive = export(client, project["project_id"])
    assert archive["status"] == "ready", archive["error"]
    path = download(client, archive, tmp_path / "out.r402ar")
    report = verify(path).report()
    assert report["ok"], report["diagnostics"]
    counts = {"tables": 5, "rows": 11, "storage_objects": 2, "functions": 2, "auth_subject_stubs": 0}
    assert report["export_report"]["counts"] == counts
    assert {d["code"] for d in report["diagnostics"]} == {"SECRET_VALUES_REQUIRED", "CLOUD_ONLY_FEATURE_EXCLUDED"}
    copy = import_into(there, path, name="copy", secret_values={"KEY": "source value"})
    assert copy["active_release_id"] == client.get(f"/projects/v1/{project['project_id']}").json()["active_release_id"]
    assert seen(there, copy) == before
    assert release_digest(second.database_url, copy) == release_digest(database_url, project)
    # The copy goes on where the source stopped: sequences, constraints, triggers, ids of migrations.
    assert rows(there, copy, "insert into notes (person, body) values (1, ' x ') returning id, body") == [
        {"id": 3, "body": "x"}
    ]
    assert rows(there, copy, "insert into people (owner_id) values ('z') returning id") == [{"id": "4"}]
    spec = {"project": copy["project_id"], "database": {"migrations": [deploy.migration("001_all", SCHEMA)]}}
    again = deploy.plan(there, spec).json()
    assert again["noop"] is True
    # And it can be taken along in turn: the same archive but for where it comes from.
    third = export(there, copy["project_id"])
    assert third["status"] == "ready", third["error"]
    assert third["export_report"]["counts"]["rows"] == 13


def test_two_exports_of_one_project_are_the_same_bytes(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    build(client, project, service)
    first, other = (export(client, project["project_id"]) for _ in range(2))
    assert first["sha256"] == other["sha256"]
    assert first["archive_id"] != other["archive_id"]


def test_no_secret_key_or_schema_name_is_in_an_archive(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], tmp_path: Path
) -> None:
    build(client, project, service)
    path = download(client, export(client, project["project_id"]), tmp_path / "a.tar")
    data = path.read_bytes()
    for word in (
        "source value",
        project["anon_key"],
        project["service_key"],
        project["schema_slot"],
        "test-jwt-secret",
    ):
        assert word.encode() not in data
    with tarfile.open(path) as archive:
        assert {member.mtime for member in archive.getmembers()} == {0}


def test_an_empty_project_can_be_exported_and_imported(
    client: httpx.Client, project: dict[str, Any], tmp_path: Path
) -> None:
    archive = export(client, project["project_id"])
    assert archive["status"] == "ready", archive["error"]
    copy = import_into(client, download(client, archive, tmp_path / "a.tar"), name="empty copy")
    assert copy["active_release_id"] is None
    assert rows(client, copy, "create table t (n int); select 1 as one") == [{"one": 1}]


@pytest.mark.parametrize(("auth", "count"), [("stubs", 1), ("none", 0)])
def test_users_travel_as_disabled_stubs_or_not_at_all(
    client: httpx.Client, project: dict[str, Any], database_url: str, tmp_path: Path, auth: str, count: int
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "insert into internal.core_auth_users (project_id, user_id, email) values (%s, 'u1', 'ada@example.com')",
            (project["project_id"],),
        )
    path = download(client, export(client, project["project_id"], auth=auth), tmp_path / "a.tar")
    assert b"ada@example.com" not in path.read_bytes()
    assert verify(path).stubs == count
    copy = import_into(client, path, name="with users")
    with psycopg.connect(database_url) as conn:
        found = conn.execute(
            "select subject_id from internal.core_auth_subject_stubs where project_id = %s", (copy["project_id"],)
        ).fetchall()
    assert found == [("u1",)] * count


def test_an_idempotency_key_gives_one_archive(client: httpx.Client, project: dict[str, Any]) -> None:
    first, other = (export(client, project["project_id"], {"Idempotency-Key": "k"}) for _ in range(2))
    assert first["archive_id"] == other["archive_id"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"scope": "everything"}, "EXPORT_SCOPE_UNSUPPORTED"),
        ({"auth": "credentials"}, "EXPORT_SCOPE_UNSUPPORTED"),
        ({"consistency": "none"}, "EXPORT_CONSISTENCY_UNAVAILABLE"),
        ({"consistency": []}, "EXPORT_CONSISTENCY_UNAVAILABLE"),
    ],
)
def test_other_wishes_are_refused(
    client: httpx.Client, project: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    answer = client.post(f"/projects/v1/{project['project_id']}/archives", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_unknown_archives_are_404(client: httpx.Client, project: dict[str, Any]) -> None:
    for tail in ("arc_1", "arc_1/download", "..%2f..%2fetc/download"):
        assert client.get(f"/projects/v1/{project['project_id']}/archives/{tail}").status_code == 404
    assert client.post("/projects/v1/prj_nobody/archives").status_code == 404


def test_content_that_is_gone_fails_the_export(
    client: httpx.Client, live: Live, project: dict[str, Any], service: dict[str, str]
) -> None:
    build(client, project, service)
    live.gateway.store.path(deploy.sha256(PAGE)).unlink()
    archive = export(client, project["project_id"])
    assert (archive["status"], archive["error"]["code"]) == ("failed", "STORAGE_OBJECT_DIGEST_MISMATCH")
    answer = client.get(f"/projects/v1/{project['project_id']}/archives/{archive['archive_id']}/download")
    assert (answer.status_code, answer.json()["code"]) == (409, "ARCHIVE_NOT_READY")


def test_an_export_that_its_gateway_did_not_finish_is_failed(
    client: httpx.Client, live: Live, project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_args: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(exporting, "_export", killed)
    archive = export(client, project["project_id"])
    assert (archive["status"], archive["error"]["code"]) == ("failed", "EXPORT_CONSISTENCY_UNAVAILABLE")
    assert archive["error"]["retryable"] is True


def test_an_expired_archive_is_gone(client: httpx.Client, project: dict[str, Any], database_url: str) -> None:
    archive = export(client, project["project_id"])
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("update internal.core_archives set expires_at = now() - interval '1 second'")
    base = f"/projects/v1/{project['project_id']}/archives/{archive['archive_id']}"
    assert client.get(base).json()["status"] == "expired"
    answer = client.get(f"{base}/download")
    assert (answer.status_code, answer.json()["code"]) == (410, "ARCHIVE_EXPIRED")


def test_an_archive_goes_with_its_project_and_with_its_time(
    client: httpx.Client, live: Live, project: dict[str, Any], service: dict[str, str], database_url: str
) -> None:
    folder = live.gateway.settings.data_dir / "archives"
    old, fresh = (export(client, project["project_id"])["archive_id"] for _ in range(2))
    with psycopg.connect(database_url, autocommit=True) as conn:
        expire = "update internal.core_archives set expires_at = now() - interval '1 second' where archive_id = %s"
        conn.execute(expire, (old,))
    (folder / "arc_killed.tmp").mkdir()
    live.run(purge(live.gateway))
    assert [path.name for path in folder.iterdir()] == [f"{fresh}.r402ar"]
    assert client.delete(f"/projects/v1/{project['project_id']}", headers=service).status_code == 200
    assert list(folder.iterdir()) == []


def test_an_archive_that_is_too_large_fails_with_the_limit(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    rows(
        client,
        project,
        "create table t (x text); insert into t select repeat('x', 2000) from generate_series(1, 70000)",
    )
    archive = export(client, project["project_id"])
    assert (archive["status"], archive["error"]["code"]) == ("failed", "ARCHIVE_SIZE_LIMIT_EXCEEDED")


def test_portable_sql_names_no_schema_and_sets_nothing() -> None:
    script = """SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA project_ab;
COMMENT ON SCHEMA project_ab IS 'x';
CREATE TABLE project_ab.t (id int DEFAULT nextval('project_ab.s'::regclass), other project_abc.t);
CREATE FUNCTION project_ab.f() RETURNS text LANGUAGE sql SET search_path TO 'project_ab' AS $$ SELECT 'SET x;' $$;
GRANT USAGE ON SCHEMA project_ab TO anon;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA project_ab GRANT ALL ON TABLES TO service_role;
GRANT SELECT ON TABLE project_ab.t TO anon;
"""
    assert portable(script, "project_ab") == (
        "SET check_function_bodies = false;\n\n"
        "CREATE TABLE t (id int DEFAULT nextval('s'::regclass), other project_abc.t);\n\n"
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql SET search_path TO 'run402_project_schema'"
        " AS $$ SELECT 'SET x;' $$;\n\n"
        "GRANT SELECT ON TABLE t TO anon;\n"
    )
    assert portable("SET x = 1;", "project_ab") == ""


def test_the_release_documents_of_an_archive_are_json_that_others_can_read(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], tmp_path: Path
) -> None:
    build(client, project, service)
    path = download(client, export(client, project["project_id"]), tmp_path / "a.tar")
    with tarfile.open(path) as archive:
        handle = archive.extractfile("runtime/index.json")
        assert handle is not None
        functions = json.load(handle)["functions"]
    assert [(f["name"], f["runtime"], f["artifact_digest"]) for f in functions] == [
        ("api", "node22", f"sha256:{deploy.sha256(SOURCE)}"),
        ("gated", "node22", f"sha256:{deploy.sha256(LIBRARY)}"),
    ]
