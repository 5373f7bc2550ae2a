"""run402 sites, as typed."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

PLAN = {"kind": "plan_response", "plan_id": "plan_1", "operation_id": "op_1", "is_noop": False, "summary": "s"}
READY = {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {"site": "http://s"}}
COUNTERS = {
    "unchanged": 0,
    "changed": 0,
    "added": 1,
    "removed": 0,
    "newly_uploaded_cas_bytes": 4,
    "reused_cas_bytes": 6,
    "deployment_copy_bytes_eliminated": 0,
}


def deployable(httpx_mock: HTTPXMock, *, ready: dict[str, Any] | None = None, **plan: Any) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/apply/v1/plans", json={**PLAN, **plan})
    httpx_mock.add_response(url=f"{BASE}/apply/v1/plans/plan_1/commit", json=ready or READY)
    httpx_mock.add_response(url=f"{BASE}/apply/v1/operations/op_1/events?limit=100", json={"events": []})


def site(count: int) -> Path:
    folder = Path("dist")
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.html").write_text(f"page {number}")
    return folder


def sent_files(httpx_mock: HTTPXMock) -> dict[str, str]:
    (plan,) = [request for request in httpx_mock.get_requests() if request.url.path == "/apply/v1/plans"]
    replace = json.loads(plan.content)["spec"]["site"]["replace"]
    return {path: ref["sha256"] for path, ref in replace.items()}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_directory_is_deployed_and_remembered(wallet: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    deployable(httpx_mock, static_assets=COUNTERS)
    site(5)
    outcome = run("sites", "deploy-dir", "dist")
    assert outcome.json == {"deployment_id": "rel_1", "url": "http://s", "bytes_uploaded": 4, "bytes_total": 10}
    assert list(sent_files(httpx_mock)) == [f"{number}.html" for number in range(5)]
    keys = json.loads((wallet / "credentials" / "project-keys.v1.json").read_bytes())
    assert keys["projects"]["prj_1"]["last_deployment_id"] == "rel_1"


def test_a_deployment_id_of_the_gateway_wins(wallet: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    deployable(httpx_mock, ready={**READY, "urls": {"project": "http://p", "deployment_id": "dpl_1"}})
    site(5)
    assert run("sites", "deploy-dir", "dist", "--quiet").json == {"deployment_id": "dpl_1", "url": "http://p"}


def test_a_small_directory_needs_a_word(wallet: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    site(4)
    error = run("sites", "deploy-dir", "dist").error
    assert (error["code"], error["details"]) == (
        "PRUNE_CONFIRMATION_REQUIRED",
        {"local_file_count": 4, "threshold": 5, "dir": "dist"},
    )
    deployable(httpx_mock)
    assert run("sites", "deploy-dir", "dist", "--confirm-prune", "--quiet").exit == 0


def test_a_dry_run_is_one_request(wallet: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    missing = [{"sha256": "a", "size": 1, "present": False}, {"sha256": "b", "size": 1, "present": True}]
    body = {**PLAN, "plan_id": None, "operation_id": None, "manifest_digest": "d", "missing_content": missing}
    httpx_mock.add_response(method="POST", url=f"{BASE}/apply/v1/plans?dry_run=true", json=body)
    site(1)
    outcome = run("sites", "deploy-dir", "dist", "--dry-run")
    assert outcome.json == {
        "dry_run": True,
        "local_file_count": 1,
        "plan_id": None,
        "operation_id": None,
        "manifest_digest": "d",
        "diff": {"is_noop": False, "summary": "s", "warnings": []},
        "warnings": [],
        "expected_events": [],
        "missing_content_count": 1,
    }
    assert outcome.err == ""
    assert list(json.loads(httpx_mock.get_requests()[0].content)) == ["spec"]


def test_symbolic_links_and_missing_directories_are_refused(wallet: Path, run: Run, tmp_path: Path) -> None:
    folder = site(5)
    assert run("sites", "deploy-dir", "nowhere").error["code"] == "ENOENT"
    (folder / "link").symlink_to("/etc/passwd")
    assert run("sites", "deploy-dir", "dist").error["code"] == "LOCAL_ERROR"
    Path("alias").symlink_to(folder)
    assert run("sites", "deploy-dir", "alias").error["code"] == "LOCAL_ERROR"
    Path("empty").mkdir()
    assert run("sites", "deploy-dir", "empty").error["code"] == "LOCAL_ERROR"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("deploy-dir",), "BAD_USAGE"),
        (("deploy-dir", "a", "b"), "BAD_USAGE"),
        (("deploy-dir", "a", "--inherit"), "BAD_USAGE"),
        (("deploy-dir", "a", "--target", "x"), "UNSUPPORTED_OPTION"),
        (("deploy-dir", "a", "--bogus"), "UNKNOWN_FLAG"),
        (("deploy", "--inherit"), "BAD_FLAG"),
        (("deploy", "--target", "x"), "UNSUPPORTED_OPTION"),
        (("deploy", "extra"), "BAD_USAGE"),
        (("deploy", "--manifest", "no.json"), "FILE_NOT_FOUND"),
        (("deploy",), "BAD_JSON"),
    ],
)
def test_wrong_arguments_have_their_code(wallet: Path, run: Run, args: tuple[str, ...], code: str) -> None:
    assert run("sites", *args).error["code"] == code


def test_no_wallet_no_site(config_dir: Path, run: Run) -> None:
    site(5)
    assert run("sites", "deploy-dir", "dist", "--project", "prj_1").error["code"] == "NO_ALLOWANCE"


def test_a_manifest_of_files_is_deployed(wallet: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    deployable(httpx_mock)
    Path("m").mkdir()
    Path("m/logo.png").write_bytes(b"\x89PNG")
    files = [
        {"file": "index.html", "data": "<h1>é</h1>", "extra": 1},
        {"file": "b.bin", "data": base64.b64encode(b"\0\1").decode(), "encoding": "base64"},
        {"path": "logo.png"},
        {"file": "img/l.png", "path": "logo.png"},
        {"file": ".env", "data": "SECRET=1"},
    ]
    Path("m/site.json").write_text(json.dumps({"files": files}))
    run("sites", "deploy", "--manifest", "m/site.json", "--quiet").json  # noqa: B018
    assert sent_files(httpx_mock) == {
        "b.bin": sha(b"\0\1"),
        "img/l.png": sha(b"\x89PNG"),
        "index.html": sha("<h1>é</h1>".encode()),
        "logo.png": sha(b"\x89PNG"),
    }


def test_a_manifest_from_standard_input(wallet: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    deployable(httpx_mock)
    text = json.dumps({"files": [{"file": "a.html", "data": "x"}]})
    assert run("sites", "deploy", "--quiet", stdin=text).exit == 0
    assert sent_files(httpx_mock) == {"a.html": sha(b"x")}


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"file": "a.html"}, "BAD_FIELD"),
        ({"data": "x"}, "BAD_FIELD"),
        ({"file": 1, "data": "x"}, "BAD_FIELD"),
        ("a.html", "BAD_FIELD"),
        ({"file": "a", "data": "x", "encoding": "hex"}, "BAD_FIELD"),
        ({"path": "x.html"}, "BAD_FIELD"),
        ({"file": "../a.html", "data": "x"}, "LOCAL_ERROR"),
        ({"file": "/etc/a", "data": "x"}, "LOCAL_ERROR"),
        ({"file": "a\\..\\..\\b", "data": "x"}, "LOCAL_ERROR"),
    ],
)
def test_unusable_entries_are_refused_before_any_request(wallet: Path, run: Run, entry: Any, code: str) -> None:
    error = run("sites", "deploy", stdin=json.dumps({"files": [entry]})).error
    assert error["code"] == code
    assert "files[0]" in error["message"]


@pytest.mark.parametrize("document", ["{}", '{"files": {}}', '{"files": []}', "[]"])
def test_a_manifest_without_files_deploys_nothing(wallet: Path, run: Run, document: str) -> None:
    outcome = run("sites", "deploy", "--quiet", stdin=document)
    assert outcome.error["code"] == "LOCAL_ERROR"
