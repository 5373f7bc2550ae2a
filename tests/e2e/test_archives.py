"""The guestbook leaves one gateway as an archive and goes on in another: the same pages, rows and function."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli, make
from gateway_kit import control

pytestmark = pytest.mark.e2e
GUESTBOOK = Path(__file__).resolve().parents[2] / "docs" / "examples" / "guestbook"
FUNCTION = "export default async () => new Response(`greetings from ${process.env.GREETING}`);\n"
SECRET = "a-value-that-never-travels"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Cli]:
    """Another user, with a gateway and configuration of their own."""
    made = make(tmp_path / "other", tmp_path / "other" / "data")
    try:
        made.ok("core", "start", "--use", "--port", "0")
        yield made
    finally:
        made("core", "reset", "--yes")


def deployed(cli: Cli) -> dict[str, Any]:
    """The guestbook with a function that needs a secret, and two entries."""
    app = cli.cwd / "app"
    shutil.copytree(GUESTBOOK, app)
    manifest = json.loads((app / "run402.deploy.json").read_text())
    hello = {"runtime": "node22", "source": {"data": FUNCTION}}
    manifest.setdefault("functions", {}).setdefault("replace", {})["hello"] = hello
    route = {"pattern": "/hello", "target": {"type": "function", "name": "hello"}}
    manifest.setdefault("routes", {}).setdefault("replace", []).append(route)
    manifest.setdefault("secrets", {}).setdefault("require", []).append("GREETING")
    (app / "run402.deploy.json").write_text(json.dumps(manifest))
    cli.ok("secrets", "set", "GREETING", "--stdin", stdin=SECRET)
    done: dict[str, Any] = cli.ok("deploy", "apply", "--manifest", "run402.deploy.json", cwd=app)
    cli.ok("projects", "sql", "insert into entries (author, message) values ('Ada', 'Hi'), ('Bob', E'two\\nlines\\t')")
    cli.ok("assets", "put", str(GUESTBOOK / "site" / "style.css"), "--key", "copies/style.css")
    return done


def seen(http: httpx.Client, base: str, project: dict[str, Any]) -> dict[str, Any]:
    """What a visitor gets of a project."""
    root = f"{base}/projects/v1/{project['project_id']}"
    entries = http.get(
        f"{base}/rest/v1/entries?select=id,author,message&order=id", headers={"apikey": project["anon_key"]}
    )
    pages = {name: http.get(f"{root}/static/{name}") for name in ("", "guestbook.js", "style.css", "hello")}
    return {
        "rows": (entries.status_code, entries.json()),
        "object": http.get(f"{root}/storage/public/copies/style.css").text,
        **{name: (page.status_code, page.headers["content-type"], page.text) for name, page in pages.items()},
    }


def test_a_guestbook_moves_to_another_gateway(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], other: Cli, http: httpx.Client, tmp_path: Path
) -> None:
    deployed(cli)
    before = seen(http, gateway["url"], project)
    assert [row["author"] for row in before["rows"][1]][-2:] == ["Ada", "Bob"]
    assert before["hello"][2] == f"greetings from {SECRET}"
    path = tmp_path / "guestbook.r402ar"
    document = cli.ok("cloud", "archives", "create", "--output", str(path), "--poll-interval", "100")
    assert (document["ok"], document["bytes_written"], document["sha256"] is not None) == (
        True,
        path.stat().st_size,
        True,
    )
    assert document["next_action"]["command"] == f"run402 archives verify {path}"
    again = cli.ok("cloud", "archives", "download", document["archive_id"], "--output", str(tmp_path / "again.r402ar"))
    assert again["bytes_written"] == path.stat().st_size
    assert cli.ok("cloud", "archives", "status", document["archive_id"])["archive"]["status"] == "ready"
    verified = cli.ok("archives", "verify", str(path))
    assert verified["verified"] is True
    assert [secret["name"] for secret in verified["archive"]["required_secrets"]] == ["GREETING"]
    for secret in (SECRET, project["anon_key"], project["service_key"]):
        assert secret.encode() not in path.read_bytes()

    there = other.ok("core", "status")["url"]
    command = ("core", "projects", "import", str(path), "--name", "moved", "--core-url", there)
    blocked = other(*command, "--require-runnable")
    assert (blocked.code, json.loads(blocked.out)["import"]["status"]) == (1, "blocked")
    assert other.ok(*command, "--dry-run", "--secret", f"GREETING={SECRET}")["import"]["status"] == "dry_run"
    (other.cwd / "required.env").write_text(f"GREETING={SECRET}\n")
    done = other.ok(*command, "--require-runnable", "--env-file", "required.env")
    assert done["ok"] is True
    moved = http.get(
        f"{there}/projects/v1/{done['import']['project_id']}", headers=control(other.ok("core", "status"))
    ).json()
    assert seen(http, there, moved) == before
    taken = other(*command, "--env-file", "required.env")
    assert json.loads(taken.out)["import"]["diagnostics"][0]["code"] == "PROJECT_ALREADY_EXISTS"

    # It is a project like any other: rows go on where they stopped, and the next deploy starts from the import.
    other.env |= {"SERVICE": moved["service_key"], "ANON": moved["anon_key"]}
    keys = ("--service-key-env", "SERVICE", "--anon-key-env", "ANON")
    other.ok("credentials", "project-keys", "import", "--project", moved["project_id"], *keys)
    other.ok("projects", "use", moved["project_id"])
    new = other.ok("projects", "sql", "insert into entries (author, message) values ('Eve', 'new') returning id::int")
    assert new["rows"][0]["id"] == before["rows"][1][-1]["id"] + 1
    change = {"site": {"patch": {"put": {"new.html": {"data": "new page"}}}}}
    other.ok("deploy", "apply", "--project", moved["project_id"], "--spec", json.dumps(change))
    root = f"{there}/projects/v1/{moved['project_id']}/static"
    assert http.get(f"{root}/new.html").text == "new page"
    assert http.get(f"{root}/hello").text == f"greetings from {SECRET}"


def test_a_damaged_archive_never_reaches_the_gateway(cli: Cli, project: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.r402ar"
    assert cli.ok("projects", "export", "--output", str(path), "--poll-interval", "100")["ok"] is True
    data = bytearray(path.read_bytes())
    at = data.index(b'"auth_export": "stubs"')
    data[at + 16 : at + 21] = b"STUBS"
    path.write_bytes(data)
    assert cli("archives", "verify", str(path)).code == 1
    assert cli("archives", "inspect", str(path)).code == 0
    done = cli("core", "projects", "import", str(path), "--core-url", "http://127.0.0.1:9", "--json-stream")
    last = json.loads(done.out.splitlines()[-1])
    assert (done.code, last["status"], last["code"]) == (1, "failed", "IMPORT_VERIFY_FAILED")
