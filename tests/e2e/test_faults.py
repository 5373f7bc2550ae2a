"""Bad input and faults against the real gateway: a clear code, exit 1, empty stdout, nothing changed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

from run402_cli.core.daemon.postgres import cluster_directory

pytestmark = pytest.mark.e2e


def site_manifest(folder: Path, **extra: Any) -> Path:
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "index.html").write_text("<h1>one</h1>")
    path = folder / "app.json"
    path.write_text(json.dumps({"site": {"replace": {"__source": "local-dir", "path": "site"}}, **extra}))
    return path


def active_release(cli: Cli) -> Any:
    return cli.ok("projects", "get")["active_release_id"]


def test_no_project(cli: Cli) -> None:
    assert cli("projects", "sql", "select 1").envelope["code"] == "PROJECT_REQUIRED"


def test_unknown_project_without_and_with_keys(cli: Cli) -> None:
    assert (
        cli("projects", "sql", "select 1", "--project", "prj_none").envelope["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"
    )
    assert cli("projects", "use", "prj_0000000000000000").envelope["http"] in (403, 404)


@pytest.mark.parametrize("name", ["target.json", "state.json", "credentials/project-keys.v1.json", "config.json"])
def test_damaged_state_is_reported_and_left_in_place(name: str, cli: Cli, gateway: dict[str, Any]) -> None:
    path = cli.config / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{oops")
    cli.env["RUN402_API_BASE"] = gateway["url"]
    done = cli("projects", "provision") if name != "config.json" else cli("wallets", "use", "default")
    if name != "target.json":  # the environment names the gateway alone
        assert str(path) in done.envelope["message"]
        assert cli("projects", "list").envelope["code"] == "BAD_ENV"
    assert path.read_text() == "{oops"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"select 1\0"])
def test_binary_sql_file(content: bytes, cli: Cli, project: dict[str, Any]) -> None:
    (cli.cwd / "x.sql").write_bytes(content)
    assert cli("projects", "sql", "--file", "x.sql", "--project", project["project_id"]).envelope["code"] == "BAD_FILE"


def test_missing_sql_file_and_directory(cli: Cli, project: dict[str, Any]) -> None:
    assert cli("projects", "sql", "--file", "no.sql", "--project", "prj_x").envelope["code"] == "FILE_NOT_FOUND"
    assert cli("projects", "sql", "--file", ".", "--project", "prj_x").envelope["code"] == "NOT_A_FILE"


@pytest.mark.skipif(os.name != "posix", reason="links and devices of POSIX")
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_symlink_is_refused_and_a_device_is_not_followed(kind: str, cli: Cli, project: dict[str, Any]) -> None:
    manifest = site_manifest(cli.cwd)
    odd = cli.cwd / "site" / "odd"
    if kind == "link":
        odd.symlink_to("/etc/passwd")
        assert cli("deploy", "apply", "--manifest", str(manifest)).envelope["code"] == "LOCAL_ERROR"
        assert active_release(cli) is None
    else:
        os.mkfifo(odd)
        site = cli.ok("deploy", "apply", "--manifest", str(manifest))["urls"]["site"].rstrip("/")
        assert httpx.get(f"{site}/odd").status_code == 404


@pytest.mark.parametrize("path", ["../x.html", "/x.html", "a/../../x.html", "a\\..\\x.html", "a\0b.html"])
def test_path_traversal_in_a_manifest_is_refused(path: str, cli: Cli, project: dict[str, Any]) -> None:
    done = cli("deploy", "apply", "--spec", json.dumps({"site": {"replace": {path: "x"}}}))
    assert done.envelope["code"]
    assert active_release(cli) is None


def test_a_failing_migration_shows_where_and_leaves_nothing_active(cli: Cli, project: dict[str, Any]) -> None:
    sql = "create table a (id int);\nselect nope from a;"
    manifest = site_manifest(cli.cwd, database={"migrations": [{"id": "bad", "sql": sql}]})
    envelope = cli("deploy", "apply", "--manifest", str(manifest)).envelope
    assert "nope" in json.dumps(envelope)
    assert "bad" in json.dumps(envelope)
    assert active_release(cli) is None
    assert cli.ok("projects", "schema")["tables"] == []


def test_an_expose_of_unknown_tables_fails_the_deploy(cli: Cli, project: dict[str, Any]) -> None:
    table = {"name": "ghost", "expose": True, "policy": "public_read_authenticated_write"}
    manifest = site_manifest(cli.cwd, database={"expose": {"version": "1", "tables": [table]}})
    envelope = cli("deploy", "apply", "--manifest", str(manifest)).envelope
    assert "ghost" in json.dumps(envelope)
    assert active_release(cli) is None


def test_two_deploys_at_once_both_end_well(cli: Cli, project: dict[str, Any]) -> None:
    folders = []
    for number in (1, 2):
        folder = cli.cwd / str(number)
        folder.mkdir()
        sql = f"create table t{number} (id int)"
        folders.append(site_manifest(folder, database={"migrations": [{"id": f"m{number}", "sql": sql}]}))
    running = [cli.start("deploy", "apply", "--manifest", str(path)) for path in folders]
    ends = [process.communicate(timeout=100) for process in running]
    for process, (_out, err) in zip(running, ends, strict=True):
        if process.returncode != 0:
            envelope = json.loads(err.decode().splitlines()[-1])
            assert "CONFLICT" in envelope["code"].upper() or "STALE" in json.dumps(envelope).upper()
    for path in folders:
        cli.ok("deploy", "apply", "--manifest", str(path))
    assert {table["name"] for table in cli.ok("projects", "schema")["tables"]} == {"t1", "t2"}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_gateway_killed_mid_deploy_loses_nothing_and_a_second_apply_finishes(own_gateway: Cli) -> None:
    cli = own_gateway
    cli.ok("projects", "provision", "--name", "app")
    cli.ok("projects", "sql", "create table kept (id int); insert into kept select generate_series(1, 100)")
    site = cli.cwd / "site"
    site.mkdir()
    for number in range(300):
        (site / f"{number}.bin").write_bytes(os.urandom(20_000))
    manifest = cli.cwd / "app.json"
    migration = {"id": "once", "sql": "create table once (id int)"}
    manifest.write_text(
        json.dumps(
            {"database": {"migrations": [migration]}, "site": {"replace": {"__source": "local-dir", "path": "site"}}}
        )
    )
    status = cli.ok("core", "status")
    deploy = cli.start("deploy", "apply", "--manifest", str(manifest))
    content = Path(status["data_dir"]) / "content" / "cas"
    wait_for(lambda: sum(1 for _ in content.rglob("*") if _.is_file()) > 20, "content arrives at the gateway")
    os.kill(status["pid"], signal.SIGKILL)
    out, err = deploy.communicate(timeout=100)
    assert (deploy.returncode, out) == (1, b"")
    envelope = json.loads(err.decode().splitlines()[-1])
    assert envelope["retryable"] is True

    port = status["url"].rsplit(":", 1)[1]
    assert cli.ok("core", "start", "--port", port)["url"] == status["url"]
    assert cli.ok("projects", "sql", "select count(*)::int as n from kept")["rows"] == [{"n": 100}]
    done = cli("deploy", "apply", "--manifest", str(manifest))
    url = done.json["urls"]["site"].rstrip("/")
    for number in (0, 150, 299):
        assert httpx.get(f"{url}/{number}.bin").content == (site / f"{number}.bin").read_bytes()
    assert [table["name"] for table in cli.ok("projects", "schema")["tables"]] == ["kept", "once"]


def test_gateway_gone_before_a_request(own_gateway: Cli) -> None:
    own_gateway.ok("projects", "provision", "--name", "app")
    own_gateway.ok("core", "stop")
    envelope = own_gateway("projects", "sql", "select 1").envelope
    assert (envelope["code"], envelope["retryable"]) == ("NETWORK_ERROR", True)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_postgres_is_recovered(own_gateway: Cli) -> None:
    cli = own_gateway
    cli.ok("projects", "provision", "--name", "app")
    cli.ok("projects", "sql", "create table kept (id int); insert into kept values (1)")
    directory = cluster_directory(Path(cli.ok("core", "status")["data_dir"]))
    os.kill(int((directory / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)

    def answers() -> bool:
        return cli("projects", "sql", "select count(*)::int as n from kept").code == 0

    wait_for(answers, "the gateway recovers its database")
    assert cli.ok("projects", "sql", "select count(*)::int as n from kept")["rows"] == [{"n": 1}]


def test_secrets_never_show(cli: Cli, project: dict[str, Any]) -> None:
    everything = ""
    for command in (("projects", "sql", "select nope"), ("status",), ("projects", "get"), ("projects", "list")):
        done = cli(*command)
        everything += done.err
    assert project["service_key"] not in everything


def test_a_file_that_changes_while_it_is_uploaded_is_not_committed(cli: Cli, project: dict[str, Any]) -> None:
    manifest = site_manifest(cli.cwd)
    big = cli.cwd / "site" / "big.bin"
    big.write_bytes(os.urandom(64 * 2**20))
    stop = time.monotonic() + 60
    deploy = cli.start("deploy", "apply", "--manifest", str(manifest))
    while deploy.poll() is None and time.monotonic() < stop:
        with big.open("r+b") as file:
            file.write(os.urandom(16))
    _out, err = deploy.communicate(timeout=60)
    assert deploy.returncode == 1, err
    assert json.loads(err.decode().splitlines()[-1])["code"] == "CONTENT_CHANGED"
    assert active_release(cli) is None
