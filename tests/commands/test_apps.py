"""run402 apps, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

ADMIN = "/projects/v1/admin/prj_1"
FORKED = {"project_id": "prj_f", "anon_key": "anon_f", "service_key": "svc_f", "subdomain_url": "https://f.test"}


def sent(httpx_mock: HTTPXMock) -> tuple[str, str, Any]:
    (request,) = httpx_mock.get_requests()
    body = json.loads(request.content) if request.content else None
    return request.method, request.url.raw_path.decode(), body


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (("browse",), "/apps/v1"),
        (("browse", "--tag", "a b", "--tag=c&d"), "/apps/v1?tag=a%20b&tag=c%26d"),
        (("inspect", "ver/1"), "/apps/v1/ver%2F1"),
    ],
)
def test_looking_needs_no_wallet(run: Run, httpx_mock: HTTPXMock, args: tuple[str, ...], path: str) -> None:
    httpx_mock.add_response(json={"apps": [], "more": 1})
    assert run("apps", *args).json == {"apps": [], "more": 1}
    assert sent(httpx_mock) == ("GET", path, None)
    headers = httpx_mock.get_requests()[0].headers
    assert not {"authorization", "sign-in-with-x", "apikey"} & set(headers)


CALLS = [
    (("publish",), "POST", f"{ADMIN}/publish", {}),
    (
        ("publish", "prj_1", "--description", "", "--tags", "a, b", "--visibility", "unlisted", "--fork-allowed"),
        "POST",
        f"{ADMIN}/publish",
        {"description": "", "tags": ["a", " b"], "visibility": "unlisted", "fork_allowed": True},
    ),
    (("versions", "--project", "prj_1"), "GET", f"{ADMIN}/versions", None),
    (("versions", "prj_1"), "GET", f"{ADMIN}/versions", None),
]


@pytest.mark.parametrize(("args", "method", "path", "body"), CALLS)
def test_publishing_uses_the_service_key(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    httpx_mock.add_response(json={"id": "ver_1"})
    assert run("apps", *args).json == {"id": "ver_1"}
    assert sent(httpx_mock) == (method, path, body)
    assert httpx_mock.get_requests()[0].headers["authorization"] == "Bearer svc_key_1"


@pytest.mark.parametrize(
    ("args", "method", "body", "done"),
    [
        (("update", "v/1"), "PATCH", {}, "updated"),
        (("update", "v/1", "--no-fork", "--tags", ""), "PATCH", {"tags": [], "fork_allowed": False}, "updated"),
        (("update", "prj_1", "v/1", "--fork-allowed"), "PATCH", {"fork_allowed": True}, "updated"),
        (("delete", "v/1"), "DELETE", None, "deleted"),
        (("delete", "prj_1", "v/1", "--project", "prj_1"), "DELETE", None, "deleted"),
    ],
)
def test_a_change_of_a_version_prints_what_was_done(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, body: Any, done: str
) -> None:
    httpx_mock.add_response(status_code=204)
    assert run("apps", *args).json == {"project_id": "prj_1", "version_id": "v/1", done: True}
    assert sent(httpx_mock) == (method, f"{ADMIN}/versions/v%2F1", body)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("browse", "x"), "BAD_USAGE"),
        (("inspect",), "BAD_USAGE"),
        (("inspect", "a", "b"), "BAD_USAGE"),
        (("fork",), "BAD_USAGE"),
        (("fork", "ver_1"), "BAD_USAGE"),
        (("fork", "ver_1", "name", "--name", "n"), "BAD_USAGE"),
        (("fork", "ver_1", "--name", "n", "--bootstrap", "{}"), "UNKNOWN_FLAG"),
        (("publish", "word"), "BAD_USAGE"),
        (("publish", "prj_1", "word"), "BAD_USAGE"),
        (("publish", "--visibility", "secret"), "BAD_FLAG"),
        (("versions", "prj_2", "--project", "prj_1"), "BAD_USAGE"),
        (("update",), "BAD_USAGE"),
        (("update", "a", "b"), "BAD_USAGE"),
        (("update", "v", "--fork-allowed", "--no-fork"), "BAD_USAGE"),
        (("delete", "prj_1", "a", "b"), "BAD_USAGE"),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(
    run: Run, wallet: Path, args: tuple[str, ...], code: str
) -> None:
    assert run("apps", *args).error["code"] == code


@pytest.mark.parametrize("words", [("ver_1", "copy"), ("ver_1", "--name", "copy")])
def test_a_fork_becomes_the_active_project_with_its_keys(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, words: tuple[str, ...]
) -> None:
    httpx_mock.add_response(method="POST", json=FORKED)
    assert run("apps", "fork", *words, "--subdomain", "s").json == FORKED
    assert sent(httpx_mock) == ("POST", "/fork/v1", {"version_id": "ver_1", "name": "copy", "subdomain": "s"})
    assert "sign-in-with-x" in httpx_mock.get_requests()[0].headers
    entry = json.loads((wallet / "credentials" / "project-keys.v1.json").read_bytes())["projects"]["prj_f"]
    assert entry.items() >= {"anon_key": "anon_f", "service_key": "svc_f", "site_url": "https://f.test"}.items()
    assert json.loads((wallet / "state.json").read_bytes())["active_project_id"] == "prj_f"


def test_a_fork_whose_id_is_code_is_not_kept(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", json={**FORKED, "project_id": "prj_`id`"})
    before = (wallet / "credentials" / "project-keys.v1.json").read_bytes()
    error = run("apps", "fork", "ver_1", "--name", "copy").error
    assert (error["code"], error["details"]["value"]) == ("BAD_PROJECT_ID", "prj_`id`")
    assert (wallet / "credentials" / "project-keys.v1.json").read_bytes() == before


def test_a_fork_needs_a_wallet(run: Run) -> None:
    assert run("apps", "fork", "ver_1", "copy").error["code"] == "NO_ALLOWANCE"


def test_a_fork_whose_keys_cannot_be_saved_is_not_started(run: Run, wallet: Path) -> None:
    (wallet / "credentials" / "project-keys.v1.json").write_text("{damaged")
    assert run("apps", "fork", "ver_1", "copy").error["code"] == "BAD_ENV"
