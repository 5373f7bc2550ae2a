"""run402 grants, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run


@pytest.mark.parametrize(
    ("args", "project", "more"),
    [
        (("0xa", "--capability", "deploy"), "prj_1", {}),
        (("0xa", "deploy"), "prj_1", {}),
        (
            ("prj_2", "0xa", "deploy", "--expires", "2030-01-01T00:00:00Z"),
            "prj_2",
            {"expires_at": "2030-01-01T00:00:00Z"},
        ),
        (("0xa", "deploy", "--project", "prj_3", "--policy", '{"max":1}'), "prj_3", {"policy": {"max": 1}}),
        (("prj_2", "0xa", "--capability", "deploy", "--policy", "null"), "prj_2", {"policy": None}),
    ],
)
def test_create(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], project: str, more: dict[str, Any]
) -> None:
    httpx_mock.add_response(method="POST", json={"grant_id": "g"})
    assert run("grants", "create", *args).json == {"grant_id": "g"}
    (request,) = httpx_mock.get_requests()
    assert request.url.path == f"/projects/v1/{project}/grants"
    assert json.loads(request.content) == {"wallet": "0xa", "capability": "deploy", **more}


def test_revoke(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="DELETE", json={"status": "revoked"}, is_reusable=True)
    assert run("grants", "revoke", "g/1").json == {"status": "revoked"}
    run("grants", "revoke", "prj_2", "g")
    paths = [request.url.raw_path for request in httpx_mock.get_requests()]
    assert paths == [b"/projects/v1/prj_1/grants/g%2F1", b"/projects/v1/prj_2/grants/g"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("create",), "BAD_USAGE"),
        (("create", "0xa"), "BAD_USAGE"),
        (("create", "--capability", "deploy"), "BAD_USAGE"),
        (("create", "0xa", "deploy", "--capability", "deploy"), "BAD_USAGE"),
        (("create", "0xa", "deploy", "--policy", "{x"), "BAD_JSON_FLAG"),
        (("create", "prj_2", "0xa", "deploy", "--project", "prj_1"), "BAD_USAGE"),
        (("revoke",), "BAD_USAGE"),
        (("revoke", "prj_2"), "BAD_USAGE"),
        (("revoke", "a", "b"), "BAD_USAGE"),
    ],
)
def test_wrong_arguments_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("grants", *args).error["code"] == code


def test_without_a_project_the_project_is_asked_for_first(run: Run) -> None:
    assert run("grants", "create").error["code"] == "PROJECT_REQUIRED"
