"""run402 admin, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run


@pytest.mark.parametrize(
    ("args", "path", "body"),
    [
        (("lease-perpetual", "o/1", "--enable"), "/orgs/v1/admin/o%2F1/lease-perpetual", '{"lease_perpetual":true}'),
        (
            ("lease-perpetual", "o", "--disable"),
            "/orgs/v1/admin/o/lease-perpetual",
            '{"lease_perpetual":false}',
        ),
        (("archive",), "/projects/v1/admin/prj_1/archive", "{}"),
        (("archive", "prj_2", "--reason", "r"), "/projects/v1/admin/prj_2/archive", '{"reason":"r"}'),
        (("reactivate", "--project", "prj_3"), "/projects/v1/admin/prj_3/reactivate", ""),
    ],
)
def test_each_command_posts_in_admin_mode_without_a_cookie(
    run: Run,
    wallet: Path,
    httpx_mock: HTTPXMock,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    path: str,
    body: str,
) -> None:
    monkeypatch.setenv("RUN402_ADMIN_COOKIE", "session")
    httpx_mock.add_response(method="POST", json={"status": "ok"})
    assert run("admin", *args).json == {"status": "ok"}
    (request,) = httpx_mock.get_requests()
    assert (request.url.raw_path.decode(), request.content.decode()) == (path, body)
    assert request.headers["x-admin-mode"] == "1"
    assert "sign-in-with-x" in request.headers
    assert "cookie" not in request.headers


@pytest.mark.parametrize(
    "args",
    [("lease-perpetual", "--enable"), ("lease-perpetual", "o"), ("lease-perpetual", "o", "--enable", "--disable")],
)
def test_the_lease_needs_an_organization_and_one_direction(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    assert run("admin", *args).error["code"] == "BAD_USAGE"


@pytest.mark.parametrize("action", ["archive", "reactivate"])
def test_without_a_project_nothing_is_sent(run: Run, action: str) -> None:
    assert run("admin", action).error["code"] == "PROJECT_REQUIRED"
