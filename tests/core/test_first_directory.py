"""A data directory that the first complete version left, its gateway killed, is what today's `core start` goes on with."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from copies_kit import restore, sql
from gateway_kit import control

from run402_cli.core import bootstrap
from run402_cli.core.daemon import datadir, launcher, pg_install, postgres, run_lock
from run402_cli.core.projects import role_rows

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="copies of a cluster are made with cp")

# database.sql is what pg_dump wrote of its database (branch and sessions end later than they did), files.json are its other
# files with their modes, given.json is what its user was told.
LEFT = Path(__file__).with_name("first_directory")
GIVEN: list[dict[str, Any]] = json.loads((LEFT / "given.json").read_text())
SHOP, BLOG = GIVEN
FORMER = ("anon", "authenticated", "service_role", "project_admin", "authenticator", "run402_archive_importer")
UPGRADED = [
    {"what": "data_dir", "from": 1, "to": datadir.FORMAT},
    {"what": "database", "from": 0, "to": bootstrap.FORMAT},
]


def cluster(data_dir: Path) -> postgres.EmbeddedPostgres:
    return postgres.EmbeddedPostgres(postgres.cluster_directory(data_dir), password="")


def database(data_dir: Path) -> psycopg.Connection[Any]:
    return psycopg.connect(cluster(data_dir).url(), autocommit=True)


@pytest.fixture(scope="module")
def left(open_dir: Path) -> Path:
    """The directory as it was left."""
    data_dir = open_dir / "first-directory"
    data_dir.mkdir()
    for name, mode, text in json.loads((LEFT / "files.json").read_text()):
        path = data_dir / name
        if text is None:
            path.mkdir()
        else:
            path.write_text(text.replace("{data_dir}", str(data_dir)))
        path.chmod(int(mode, 8))
    data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    password = json.loads((data_dir / "private" / "secrets.json").read_text())["postgres_password"]
    server = postgres.EmbeddedPostgres(data_dir / "postgres", password=password)
    server.start()
    with database(data_dir) as conn:
        conn.execute((LEFT / "database.sql").read_bytes())
    server.stop()
    return data_dir


@pytest.fixture
def data_dir(left: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it."""
    path = left.with_name(f"first-{tmp_path.name}")
    subprocess.run(["cp", "-a", left, path], check=True)
    yield path
    launcher.stop(path)
    launcher.reset(path)


def command(data_dir: Path, *words: str) -> subprocess.Popen[bytes]:
    env = {
        **os.environ,
        "RUN402_CORE_DATA_DIR": str(data_dir),
        "RUN402_CONFIG_DIR": str(data_dir.with_suffix(".config")),
    }
    line = [sys.executable, "-m", "run402_cli", "core", *words]
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def started(data_dir: Path) -> dict[str, Any]:
    process = command(data_dir, "start", "--port", "0")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return dict(json.loads(out))


class Upgraded(NamedTuple):
    client: httpx.Client
    data_dir: Path
    said: dict[str, Any]


@pytest.fixture(scope="module")
def upgraded(left: Path) -> Iterator[Upgraded]:
    """A gateway of today on a copy, for tests that leave it as it is."""
    path = left.with_name("first-shared")
    subprocess.run(["cp", "-a", left, path], check=True)
    said = started(path)
    with httpx.Client(base_url=said["url"], timeout=60, trust_env=False, headers=control(said)) as client:
        yield Upgraded(client, path, said)
    launcher.stop(path)
    launcher.reset(path)


def key(project: dict[str, Any], kind: str = "service_key") -> dict[str, str]:
    return {"apikey": project[kind]}


def all_answers(client: httpx.Client, project: dict[str, Any]) -> None:
    """What its user had before is there."""
    name, path = project["name"], f"/projects/v1/{project['project_id']}"
    anon, service = key(project, "anon_key"), key(project)
    assert [row["body"] for row in client.get("/rest/v1/notes", headers=anon).json()] == ["one", "two"]
    assert client.get("/rest/v1/vault", headers=anon).status_code == 401
    assert client.get("/admin/v1/rest/vault", headers=service).json() == [{"word": "hidden"}]
    assert client.get("/admin/v1/rest/vault", headers=key(project, "issued_key")).json() == [{"word": "hidden"}]
    assert client.post("/rest/v1/rpc/shout", headers=anon, json={"q": "x"}).json() == "X"
    shown = client.get(path).json()
    assert (shown["anon_key"], shown["service_key"]) == (project["anon_key"], project["service_key"])
    # A user, and the rows that only this user sees.
    who = {"email": project["email"], "password": project["password"]}
    session = client.post("/auth/v1/token", params={"grant_type": "password"}, headers=anon, json=who).json()
    assert session["user"]["id"] == project["user_id"]
    signed_in = {**anon, "Authorization": f"Bearer {session['access_token']}"}
    assert [row["word"] for row in client.get("/rest/v1/mine", headers=signed_in).json()] == [f"{name}!"]
    assert client.get("/rest/v1/mine", headers=anon).status_code == 401
    # Site, function with its secret and its key, files, mail.
    assert client.get(f"{path}/static/").text == f"<h1>{name}</h1>"
    run = {"secret": f"secret of {name}", "vault": [{"word": "hidden"}]}
    assert client.post("/functions/v1/api", headers=service, json={}).json() == run
    assert client.get(f"{path}/static/api/x").json() == run
    assert client.get(f"{path}/storage/public/open/a.txt").text == f"bytes of {name}"
    assert client.get(f"{path}/storage/blob/closed/b.txt", headers=service).text == f"private of {name}"
    mails = client.get(f"/mailboxes/v1/{project['mailbox_id']}/messages", headers=service).json()["messages"]
    assert [mail["subject"] for mail in mails] == ["Hello"]


@pytest.mark.parametrize("project", GIVEN, ids=["shop", "blog"])
def test_all_that_it_had_answers(upgraded: Upgraded, project: dict[str, Any]) -> None:
    all_answers(upgraded.client, project)
    site = {"host": f"{project['subdomain']}.localhost:{upgraded.client.base_url.port}"}
    assert upgraded.client.get("/", headers=site).text == f"<h1>{project['name']}</h1>"


def test_a_branch_of_it_answers(upgraded: Upgraded) -> None:
    branch = SHOP["branch"]
    assert upgraded.client.get("/admin/v1/rest/vault", headers=key(branch)).json() == [{"word": "hidden"}]
    assert upgraded.client.post("/functions/v1/api", headers=key(branch), json={}).json()["vault"] == [
        {"word": "hidden"}
    ]


def test_start_says_what_it_upgraded_and_the_next_one_nothing(upgraded: Upgraded) -> None:
    assert upgraded.said["upgraded"] == UPGRADED
    assert "upgraded" not in started(upgraded.data_dir)
    marker = json.loads((upgraded.data_dir / datadir.MARKER).read_text())
    assert (marker["format"], marker["made_by"]) == (datadir.FORMAT, datadir.MADE_BY)


def test_others_may_look_at_none_of_its_files(upgraded: Upgraded) -> None:
    open_to_others = [
        path.name
        for path in upgraded.data_dir.iterdir()
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and not path.is_socket()
    ]
    assert open_to_others == []
    assert stat.S_IMODE((upgraded.data_dir / "gateway.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((upgraded.data_dir / "private" / "secrets.json").stat().st_mode) == 0o600


def test_its_secrets_stay_and_a_control_token_joins_them(upgraded: Upgraded) -> None:
    before = {name: text for name, _, text in json.loads((LEFT / "files.json").read_text())}["private/secrets.json"]
    after = json.loads((upgraded.data_dir / "private" / "secrets.json").read_text())
    assert len(after.pop("control_token")) == 64
    assert after == json.loads(before)


def test_nobody_without_a_credential_reaches_what_was_open(upgraded: Upgraded) -> None:
    url = str(upgraded.client.base_url)
    for method, path in (
        ("GET", "/projects/v1"),
        ("GET", f"/projects/v1/{SHOP['project_id']}"),
        ("POST", "/projects/v1"),
        ("DELETE", f"/projects/v1/{SHOP['project_id']}"),
        ("POST", "/auth/v1/dev-tokens"),
    ):
        assert httpx.request(method, url + path, json=None, trust_env=False).status_code in (401, 403), path


def test_a_project_reaches_no_other_one(upgraded: Upgraded) -> None:
    for victim in (f"{BLOG['schema_slot']}.notes", "internal.core_projects"):
        peek = f"do $$ begin perform * from {victim}; end $$"
        path = f"/projects/v1/admin/{SHOP['project_id']}/sql"
        answer = upgraded.client.post(path, content=peek, headers={"Authorization": f"Bearer {SHOP['service_key']}"})
        assert answer.json()["sqlstate"] == "42501", victim


def test_no_role_reaches_a_schema_that_is_not_its_own(upgraded: Upgraded) -> None:
    with database(upgraded.data_dir) as conn:
        schemas = [row[0] for row in conn.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^(project|snap)'")]
        homes = dict(conn.execute("SELECT schema_slot, roles FROM internal.core_projects").fetchall())
        roles = [
            row[0] for row in conn.execute("SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname !~ '^pg_'")
        ]
        owners = dict(conn.execute("SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace").fetchall())
        assert len(homes) == 3
        assert len(schemas) == 5
        assert set(FORMER) <= set(roles)
        for schema in (*schemas, "internal"):
            base = owners[schema].removesuffix("_owner")
            # Requests reach the live schema of their project, its owner and the service key the snapshots too.
            kinds = role_rows.KINDS if schema in homes else ("owner", "service_role")
            own = {role_rows.name_of(base, kind) for kind in kinds} if schema != "internal" else set()
            assert schema not in homes or homes[schema] == base
            query = "SELECT r FROM unnest(%s::text[]) r WHERE has_schema_privilege(r, %s, 'USAGE')"
            assert {row[0] for row in conn.execute(query, (roles, schema))} == own, schema


def test_its_database_has_no_key_any_more(upgraded: Upgraded) -> None:
    with database(upgraded.data_dir) as conn:
        tables = conn.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 'core\\_%'"
        )
        rows = [conn.execute(f"SELECT t::text FROM {name} t".encode()).fetchall() for (name,) in tables.fetchall()]
    text = str(rows)
    assert SHOP["project_id"] in text
    for project in (*GIVEN, SHOP["branch"]):
        for kind in ("anon_key", "service_key", "issued_key", "refresh_token", "password"):
            assert project.get(kind, "not there") not in text
    with database(upgraded.data_dir) as conn:
        conn.execute("CHECKPOINT")
    # Nor do pages of the tables; the log of PostgreSQL (pg_wal) has what was written last, for a while.
    files = [path for path in (upgraded.data_dir / "postgres" / "base").rglob("*") if path.is_file()]
    table = b"".join(path.read_bytes() for path in files)
    assert BLOG["project_id"].encode() in table
    assert BLOG["service_key"].encode() not in table


def test_its_snapshots_come_back_and_its_sessions_go_on(data_dir: Path) -> None:
    said = started(data_dir)
    with httpx.Client(base_url=said["url"], timeout=60, trust_env=False, headers=control(said)) as client:
        for project in GIVEN:
            sql(client, project, "delete from notes; alter table notes add n int; refresh materialized view counted")
            restore(client, f"/projects/v1/{project['project_id']}", project["snapshot_id"])
            body = {"refresh_token": project["refresh_token"]}
            anon = key(project, "anon_key")
            again = client.post("/auth/v1/token", params={"grant_type": "refresh_token"}, headers=anon, json=body)
            assert again.json()["user"]["id"] == project["user_id"]
            all_answers(client, project)


def test_what_was_deleted_or_revoked_opens_nothing(data_dir: Path) -> None:
    said = started(data_dir)
    with httpx.Client(base_url=said["url"], timeout=60, trust_env=False, headers=control(said)) as client:
        path = f"/projects/v1/{SHOP['project_id']}"
        issued = client.get(f"{path}/credentials", headers=key(SHOP)).json()["credentials"][0]["credential_id"]
        assert client.delete(f"{path}/credentials/{issued}", headers=key(SHOP)).status_code == 200
        assert client.get("/admin/v1/rest/vault", headers=key(SHOP, "issued_key")).status_code == 401
        assert client.delete(path, headers=key(SHOP)).status_code == 200
        for gone in (key(SHOP), key(SHOP, "anon_key"), key(SHOP["branch"])):
            assert client.get("/rest/v1/notes", headers=gone).status_code == 401
        all_answers(client, BLOG)


def test_a_marker_of_before_there_was_an_id_gets_the_one_that_names_its_cluster(data_dir: Path) -> None:
    path = data_dir / datadir.MARKER
    marker = json.loads(path.read_text())
    del marker["id"]
    path.write_text(json.dumps(marker))
    # Where root's cluster was, when the directory is below one that is closed to others.
    there = pg_install.SHARED_ROOT / f"data-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:20]}" / "postgres"
    assert postgres.shared_cluster_directory(data_dir) == there
    said = started(data_dir)
    assert said["upgraded"] == UPGRADED
    with httpx.Client(base_url=said["url"], timeout=60, trust_env=False, headers=control(said)) as client:
        all_answers(client, SHOP)
    launcher.stop(data_dir)
    assert postgres.shared_cluster_directory(data_dir) == there
    assert "upgraded" not in started(data_dir)


def test_killed_in_the_middle_the_next_start_does_it_all(data_dir: Path) -> None:
    cluster(data_dir).start()
    with database(data_dir) as looking, database(data_dir) as blocking, blocking.transaction():
        # The upgrade comes to this table when another project has its roles already.
        blocking.execute(f"LOCK TABLE {BLOG['schema_slot']}.notes".encode())
        first = command(data_dir, "start", "--port", "0")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%notes%'"
        deadline = time.monotonic() + 60
        while looking.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline
            assert first.poll() is None, first.communicate()
            time.sleep(0.05)
        holder = run_lock.holder(data_dir)
        assert holder is not None
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        _, err = first.communicate(timeout=60)
        assert json.loads(err.splitlines()[-1])["code"] == "CORE_START_FAILED"
    with database(data_dir) as conn:
        assert conn.execute("SELECT count(service_key) FROM internal.core_projects").fetchone() == (3,)
    cluster(data_dir).stop()
    said = started(data_dir)
    assert said["upgraded"] == [UPGRADED[1]]
    with httpx.Client(base_url=said["url"], timeout=60, trust_env=False, headers=control(said)) as client:
        for project in GIVEN:
            all_answers(client, project)
    with database(data_dir) as conn:
        unused = (
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'r402\\_%' AND NOT EXISTS"
            " (SELECT FROM internal.core_projects WHERE starts_with(rolname, roles))"
        )
        assert conn.execute(unused).fetchall() == []


def test_started_twice_at_once_it_is_upgraded_once(data_dir: Path) -> None:
    both = [command(data_dir, "start", "--port", "0") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    first, second = sorted((json.loads(out) for out, _ in outputs), key=lambda said: bool(said["already_running"]))
    assert (first["already_running"], second["already_running"]) == (False, True)
    assert first["pid"] == second["pid"]
    assert first["upgraded"] == UPGRADED
    assert "upgraded" not in second
    with httpx.Client(base_url=first["url"], timeout=60, trust_env=False, headers=control(first)) as client:
        for project in GIVEN:
            all_answers(client, project)
