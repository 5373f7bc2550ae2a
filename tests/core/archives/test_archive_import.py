"""An archive becomes a project: rows, policies, site, objects, functions, stubs, secrets; or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import archive_kit as kit
import httpx
import psycopg
import pytest

from run402_cli.core.gateway import Gateway

Content = dict[str, Any]


def send(client: httpx.Client, path: Path, **more: Any) -> httpx.Response:
    return client.post("/archives/v1/import", json={"archive_path": str(path), **more}, timeout=120)


def imported(client: httpx.Client, path: Path, **more: Any) -> dict[str, Any]:
    """Import; the project."""
    answer = send(client, path, **more)
    assert answer.status_code == 201, answer.text
    project: dict[str, Any] = client.get(f"/projects/v1/{answer.json()['project_id']}").json()
    return project


def projects(client: httpx.Client) -> list[str]:
    return [entry["name"] for entry in client.get("/projects/v1").json()["projects"]]


def as_user(client: httpx.Client, project: dict[str, Any], sub: str) -> dict[str, str]:
    body = {"project_id": project["project_id"], "sub": sub}
    token = client.post("/auth/v1/dev-tokens", json=body).json()["token"]
    return {"apikey": project["anon_key"], "Authorization": f"Bearer {token}"}


def changed(change: Callable[[Content], None]) -> Content:
    content = kit.documents()
    change(content)
    return content


@pytest.mark.parametrize("shape", ["directory", "tar"])
def test_everything_of_an_archive_works_in_the_new_project(client: httpx.Client, tmp_path: Path, shape: str) -> None:
    path = kit.write_tar(tmp_path / "a.r402ar") if shape == "tar" else kit.write_directory(tmp_path / "a")
    answer = send(client, path, name="  shop ", secret_values={"API_TOKEN": "s3cret"})
    assert answer.status_code == 201, answer.text
    result = answer.json()
    assert (result["status"], result["project_name"], result["release_id"]) == ("imported", "shop", kit.RELEASE)
    assert result["diagnostics"] == []
    assert "s3cret" not in answer.text
    assert not any("key" in name for name in result)
    project = client.get(f"/projects/v1/{result['project_id']}").json()
    base = f"/projects/v1/{result['project_id']}"
    assert client.get(f"{base}/static/").content == kit.PAGE
    assert client.get(f"{base}/static/api").text == "hello from the archive s3cret"
    assert client.get(f"{base}/storage/public/docs/a.txt").content == kit.PICTURE
    assert client.get("/rest/v1/notes", headers=as_user(client, project, "alice")).json() == [
        {"id": 1, "owner_id": "alice", "body": "first"}
    ]
    assert client.get("/rest/v1/notes", headers={"apikey": project["anon_key"]}).json() == []
    service = {"Authorization": f"Bearer {project['service_key']}"}
    sql = "insert into notes (owner_id) values ('carol') returning id, body"
    rows = client.post(f"/projects/v1/admin/{result['project_id']}/sql", content=sql, headers=service).json()["rows"]
    assert [str(row["id"]) for row in rows] == ["3"]


def test_null_and_identity_and_generated_columns_arrive_as_they_were(client: httpx.Client, tmp_path: Path) -> None:
    def change(content: Content) -> None:
        content["database.pre_data_sql"] = (
            "create type mood as enum ('ok', 'bad');\n"
            "create table notes (id int generated always as identity, m mood, tags text[], j jsonb, b bytea,"
            " twice int generated always as (id * 2) stored);"
        )
        content["database.post_data_sql"] = ""
        content["database.data.notes"] = '7\tok\t{a,"b c"}\t{"x": "\\\\t"}\t\\\\x00ff\n8\t\\N\t\\N\t\\N\t\\N\n'
        content["database.sequences"]["sequences"] = []

    project = imported(client, kit.write_tar(tmp_path / "a.tar", changed(change)))
    rows = client.post(
        f"/projects/v1/admin/{project['project_id']}/sql",
        content="select id, m::text, tags, j::text, encode(b, 'hex') b, twice from notes order by id",
        headers={"Authorization": f"Bearer {project['service_key']}"},
    ).json()["rows"]
    assert rows == [
        {"id": 7, "m": "ok", "tags": ["a", "b c"], "j": '{"x": "\\t"}', "b": "00ff", "twice": 14},
        {"id": 8, "m": None, "tags": None, "j": None, "b": None, "twice": 16},
    ]


def test_without_its_secret_a_project_is_imported_and_its_function_says_what_is_missing(
    client: httpx.Client, tmp_path: Path
) -> None:
    path = kit.write_tar(tmp_path / "a.tar")
    blocked = send(client, path, require_runnable=True)
    assert (blocked.status_code, blocked.json()["status"]) == (422, "blocked")
    assert [(d["code"], d["resource_id"]) for d in blocked.json()["diagnostics"]] == [
        ("SECRET_VALUES_REQUIRED", "API_TOKEN")
    ]
    assert projects(client) == []
    project = imported(client, path)
    call = client.get(f"/projects/v1/{project['project_id']}/static/api")
    assert (call.status_code, call.json()["code"]) == (422, "MISSING_REQUIRED_SECRET")


def test_a_dry_run_answers_and_leaves_nothing(
    client: httpx.Client, tmp_path: Path, database_url: str, gateway: Gateway
) -> None:
    answer = send(client, kit.write_tar(tmp_path / "a.tar"), dry_run=True)
    assert (answer.status_code, answer.json()["status"]) == (200, "dry_run")
    assert "project_id" not in answer.json()
    assert projects(client) == []
    with psycopg.connect(database_url) as conn:
        found = conn.execute("select nspname from pg_namespace where nspname like 'project\\_%'").fetchall()
    assert found == []
    assert list((gateway.store.root / "refs").glob("*")) == []


def test_a_taken_name_is_refused(client: httpx.Client, tmp_path: Path, project: dict[str, Any]) -> None:
    answer = send(client, kit.write_tar(tmp_path / "a.tar"), name="test")
    assert (answer.status_code, answer.json()["error"]) == (422, "PROJECT_ALREADY_EXISTS")


def test_of_two_imports_with_one_name_at_once_one_wins(client: httpx.Client, tmp_path: Path) -> None:
    path = kit.write_tar(tmp_path / "a.tar")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(client, path, name="one"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    assert projects(client) == ["one"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("create extension file_fdw;", "DATABASE_EXTENSION_UNSUPPORTED"),
        ("create /* x */ EXTENSION if not exists dblink;", "DATABASE_EXTENSION_UNSUPPORTED"),
        ("copy notes from '/etc/passwd';", "DATABASE_SCHEMA_UNSAFE"),
        ("copy (select 1) to program 'touch /tmp/x';", "DATABASE_SCHEMA_UNSAFE"),
        ("\\copy notes from 'x'", "DATABASE_SCHEMA_UNSAFE"),
        ("alter system set fsync = off;", "DATABASE_SCHEMA_UNSAFE"),
        ("select pg_read_file('/etc/passwd');", "DATABASE_SCHEMA_UNSAFE"),
        ("select \"pg_ls_dir\"('/');", "DATABASE_SCHEMA_UNSAFE"),
        ("select lo_import('/etc/passwd');", "DATABASE_SCHEMA_UNSAFE"),
        ("commit;", "DATABASE_SCHEMA_UNSAFE"),
        ("reset role;", "DATABASE_SCHEMA_UNSAFE"),
        ("set session authorization default;", "DATABASE_SCHEMA_UNSAFE"),
        ("do $$ begin execute 'set ro' || 'le postgres'; end $$;", "DATABASE_SCHEMA_UNSAFE"),
        ("select set_config('role', 'postgres', false);", "DATABASE_SCHEMA_UNSAFE"),
        ("do $$ begin execute 'copy notes from ''/etc/passwd'''; end $$;", "DATABASE_SCHEMA_UNSAFE"),
        ("create table internal.mine (n int);", "DATABASE_SCHEMA_UNSAFE"),
        ("create schema elsewhere;", "DATABASE_SCHEMA_UNSAFE"),
        ("drop table internal.core_projects;", "DATABASE_SCHEMA_UNSAFE"),
        ("select * from internal.core_projects;", "DATABASE_SCHEMA_UNSAFE"),
        ("create policy p on notes to no_such_role using (true);", "DATABASE_RLS_IMPORT_UNSUPPORTED"),
        ("create tabel x ();", "IMPORT_CONFORMANCE_FAILED"),
        ("select 'never closed", "DATABASE_SCHEMA_UNSAFE"),
    ],
)
@pytest.mark.parametrize("phase", ["database.pre_data_sql", "database.post_data_sql"])
def test_sql_that_reaches_further_than_the_project_imports_nothing(
    client: httpx.Client, tmp_path: Path, script: str, code: str, phase: str
) -> None:
    content = kit.documents()
    content[phase] += script
    answer = send(client, kit.write_tar(tmp_path / "a.tar", content))
    assert (answer.status_code, answer.json()["error"]) == (422, code), answer.text
    assert projects(client) == []


@pytest.mark.parametrize("when", ["default", "check", "trigger", "deferred"])
def test_code_that_the_rows_set_off_cannot_become_the_gateway(
    client: httpx.Client, tmp_path: Path, database_url: str, when: str
) -> None:
    content = kit.documents()
    become = "perform set_config('role', 'none', true); create table public.taken_over ()"
    content["database.pre_data_sql"] += (
        f"create function climb() returns boolean language plpgsql as $$ begin {become}; return true; end $$;\n"
        f"create function climb_trigger() returns trigger language plpgsql as $$ begin {become}; return new; end $$;\n"
    )
    content["database.pre_data_sql"] += {
        "default": "alter table notes add column d boolean default climb();",
        "check": "alter table notes add check (climb());",
        "trigger": "create trigger t before insert on notes for each row execute function climb_trigger();",
        "deferred": "create constraint trigger t after insert on notes deferrable initially deferred"
        " for each row execute function climb_trigger();",
    }[when]
    if when == "default":
        content["database.tables"]["tables"][0]["columns"] = [{"name": n} for n in ("id", "owner_id", "body")]
    answer = send(client, kit.write_tar(tmp_path / "a.tar", content))
    assert (answer.status_code, answer.json()["error"]) == (422, "DATABASE_SCHEMA_UNSAFE"), answer.text
    with psycopg.connect(database_url) as conn:
        assert conn.execute("select to_regclass('public.taken_over')").fetchone() == (None,)
    assert projects(client) == []


def _rows(value: int) -> Callable[[Content], None]:
    return lambda content: content["database.tables"]["tables"][0].update(row_count=value)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_rows(3), "IMPORT_CONFORMANCE_FAILED"),
        (lambda c: c["database.tables"]["tables"][0].update(schema="private"), "DATABASE_SCHEMA_UNSAFE"),
        (lambda c: c["database.tables"]["tables"][0].update(name="nowhere"), "IMPORT_CONFORMANCE_FAILED"),
        (lambda c: c["database.tables"]["tables"][0].update(copy_path="database/none"), "ARCHIVE_DESCRIPTOR_MISSING"),
        (lambda c: c.update({"database.data.notes": "1\talice\n"}), "IMPORT_CONFORMANCE_FAILED"),
        (lambda c: c.update({"database.data.notes": "x\talice\tb\ny\tz\t\n"}), "IMPORT_CONFORMANCE_FAILED"),
        (
            lambda c: c["database.sequences"]["sequences"][0].update(name="nothing_seq"),
            "DATABASE_SEQUENCE_RESTORE_FAILED",
        ),
        (lambda c: c["database.sequences"]["sequences"][0].update(value="9" * 30), "DATABASE_SEQUENCE_RESTORE_FAILED"),
        (lambda c: c["auth.config"].update(auth_export="credentials"), "AUTH_CREDENTIALS_NOT_EXPORTED"),
        (lambda c: c.update({"auth.subjects": '{"subject_id":"a"}\n'}), "AUTH_CREDENTIALS_NOT_EXPORTED"),
        (
            lambda c: c.update({"auth.subjects": '{"subject_id":"a","disabled":true,"password_hash":"x"}\n'}),
            "AUTH_CREDENTIALS_NOT_EXPORTED",
        ),
        (lambda c: c["storage.index"]["objects"][0].update(key="../x"), "IMPORT_CONFORMANCE_FAILED"),
        (lambda c: c["storage.index"]["objects"][0].update(size=1), "ARCHIVE_BLOB_MISSING"),
        (
            lambda c: c["portable_release_state"]["site"]["paths"][0].update(path="../../etc/passwd"),
            "IMPORT_CONFORMANCE_FAILED",
        ),
        (
            lambda c: c["portable_release_state"]["site"]["paths"][0].update(content_sha256="0" * 64),
            "ARCHIVE_BLOB_MISSING",
        ),
        (lambda c: c["portable_release_state"].pop("routes"), "IMPORT_CONFORMANCE_FAILED"),
        (lambda c: c["portable_release_state"].update(functions=[1]), "IMPORT_CONFORMANCE_FAILED"),
        (lambda c: c["runtime.index"].update(functions=[]), "IMPORT_CONFORMANCE_FAILED"),
        (
            lambda c: c["portable_release_state"]["functions"][0].update(timeout_seconds="x"),
            "IMPORT_CONFORMANCE_FAILED",
        ),
        (lambda c: c["portable_release_state"]["functions"][0].update(name="../x"), "IMPORT_CONFORMANCE_FAILED"),
    ],
)
def test_a_document_that_does_not_fit_imports_nothing(
    client: httpx.Client, tmp_path: Path, change: Callable[[Content], None], code: str
) -> None:
    answer = send(client, kit.write_tar(tmp_path / "a.tar", changed(change)))
    assert (answer.status_code, answer.json()["error"]) == (422, code), answer.text
    assert projects(client) == []


EXPOSED = {"version": "1", "tables": [{"name": "notes", "expose": True, "policy": "user_owns_rows"}]}


def test_the_expose_manifest_of_an_archive_decides_whatever_its_sql_granted(
    client: httpx.Client, tmp_path: Path
) -> None:
    content = kit.documents()
    exposed = {**EXPOSED, "tables": [{**EXPOSED["tables"][0], "owner_column": "owner_id"}]}
    content["release_spec"]["database"] = {"expose": exposed}
    content["database.post_data_sql"] = "grant all on notes to anon, authenticated;"
    project = imported(client, kit.write_tar(tmp_path / "a.tar", content))
    mine = client.get("/rest/v1/notes", headers=as_user(client, project, "bob")).json()
    assert mine == [{"id": 2, "owner_id": "bob", "body": None}]
    nobody = client.get("/rest/v1/notes", headers={"apikey": project["anon_key"]})
    assert nobody.status_code == 401 or nobody.json() == []


def test_a_manifest_that_no_longer_fits_hides_and_says_so(client: httpx.Client, tmp_path: Path) -> None:
    content = kit.documents()
    tables = [
        {"name": "gone", "expose": True, "policy": "public_read_authenticated_write"},
        {"name": "notes", "expose": False},
    ]
    content["release_spec"]["database"] = {"expose": {"version": "1", "tables": tables}}
    answer = send(client, kit.write_tar(tmp_path / "a.tar", content))
    assert answer.status_code == 201, answer.text
    assert [(d["code"], d["severity"]) for d in answer.json()["diagnostics"]] == [
        ("DATABASE_RLS_IMPORT_UNSUPPORTED", "warning")
    ]
    project = client.get(f"/projects/v1/{answer.json()['project_id']}").json()
    hidden = client.get("/rest/v1/notes", headers=as_user(client, project, "alice"))
    assert hidden.status_code in (401, 403, 404)


def test_a_damaged_archive_is_reported_with_its_diagnostics(client: httpx.Client, tmp_path: Path) -> None:
    path = kit.repack(kit.write_tar(tmp_path / "a.tar"), lambda found: found.update({"auth/config.json": b"{}"}))
    answer = send(client, path)
    assert (answer.status_code, answer.json()["status"]) == (422, "failed")
    codes = [found["code"] for found in answer.json()["diagnostics"]]
    assert codes[:2] == ["IMPORT_VERIFY_FAILED", "ARCHIVE_SIZE_MISMATCH"]


def test_code_that_does_not_run_is_a_warning_or_blocks(client: httpx.Client, tmp_path: Path) -> None:
    content = kit.documents()
    broken = b"export default ( => 1"
    item = content["runtime.index"]["functions"][0]
    item |= {"artifact_digest": f"sha256:{kit.sha(broken)}", "artifact_path": f"blobs/sha256/{kit.sha(broken)}"}
    path = kit.write_tar(tmp_path / "a.tar", content, blobs=(kit.PAGE, kit.PICTURE, broken))
    values = {"API_TOKEN": "x"}
    blocked = send(client, path, secret_values=values, require_runnable=True)
    assert (blocked.status_code, blocked.json()["status"], projects(client)) == (422, "blocked", [])
    done = send(client, path, secret_values=values)
    assert done.status_code == 201
    found = [(d["code"], d["severity"], d["resource_id"]) for d in done.json()["diagnostics"]]
    assert found == [("IMPORT_CONFORMANCE_FAILED", "warning", "api")]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"archive_path": "relative"},
        {"archive_path": 1},
        {"archive_path": "/x\0y"},
        {"archive_path": "/x", "name": 1},
        {"archive_path": "/x", "name": "n" * 121},
        {"archive_path": "/x", "dry_run": "yes"},
        {"archive_path": "/x", "secret_values": []},
        {"archive_path": "/x", "secret_values": {"lower": "v"}},
        {"archive_path": "/x", "secret_values": {"A": 1}},
    ],
)
def test_a_malformed_request_is_400(client: httpx.Client, body: dict[str, Any]) -> None:
    assert client.post("/archives/v1/import", json=body).status_code == 400


def test_merging_into_a_project_is_unsupported(client: httpx.Client) -> None:
    body = {"archive_path": "/x", "target": {"kind": "existing_project", "project_id": "prj_1"}}
    answer = client.post("/archives/v1/import", json=body)
    assert (answer.status_code, answer.json()["capability"]) == (422, "archives.import.existing-project-merge")


def test_a_web_page_cannot_import(client: httpx.Client, tmp_path: Path) -> None:
    answer = client.post(
        "/archives/v1/import",
        json={"archive_path": str(kit.write_tar(tmp_path / "a.tar"))},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403
