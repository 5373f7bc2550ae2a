"""run402 branches, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

LIST = f"{BASE}/projects/v1/prj_1/branches"
BRANCH = {"branch_project_id": "prj_b", "branch_url": "https://b", "anon_key": "a_b", "service_key": "s_b"}


def cache(wallet: Path) -> dict[str, dict[str, str]]:
    value = json.loads((wallet / "credentials" / "project-keys.v1.json").read_bytes())["projects"]
    assert isinstance(value, dict)
    return value


def test_create_caches_the_keys_and_leaves_the_active_project(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=LIST, json=BRANCH)
    flags = ("--from-snapshot", "snap_1", "--name", "x", "--email-mode", "off", "--enable-cron", "--ttl-days", "30")
    assert run("branches", "create", *flags).json == {"ok": True, "branch": BRANCH}
    assert json.loads(httpx_mock.get_requests()[0].content) == {
        "from_snapshot_id": "snap_1",
        "name": "x",
        "email_mode": "off",
        "enable_cron": True,
        "ttl_days": 30,
    }
    entry = cache(wallet)["prj_b"]
    assert entry.pop("cached_at")
    assert entry == {"anon_key": "a_b", "service_key": "s_b", "site_url": "https://b"}
    assert json.loads((wallet / "state.json").read_bytes())["active_project_id"] == "prj_1"


def test_create_asks_nothing_when_the_keys_could_not_be_saved(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    (wallet / "credentials" / "project-keys.v1.json").write_text("{damaged")
    assert run("branches", "create").error["code"] != "NETWORK_ERROR"
    assert httpx_mock.get_requests() == []


def test_an_answer_without_a_branch_is_no_success_and_caches_nothing(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(text="{", headers={"content-type": "application/json"})
    error = run("branches", "create").error
    assert (error["code"], error["safe_to_retry"]) == ("ANSWER_UNREADABLE", False)
    assert list(cache(wallet)) == ["prj_1"]


@pytest.mark.parametrize("body", [{"branches": [{"name": "x"}]}, {}])
def test_list(run: Run, wallet: Path, httpx_mock: HTTPXMock, body: dict[str, list[dict[str, str]]]) -> None:
    httpx_mock.add_response(url=LIST, json=body)
    page = run("branches", "list", "--ttl-days", "ignored").json
    assert page == {"project_id": "prj_1", "branches": body.get("branches", [])}


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (("prj_b",), "/projects/v1/prj_1/branches/prj_b"),
        (("prj_2", "prj_b"), "/projects/v1/prj_2/branches/prj_b"),
        (("prj_b", "--project", "prj_3"), "/projects/v1/prj_3/branches/prj_b"),
        (("prj_3", "prj_b", "--project", "prj_3"), "/projects/v1/prj_3/branches/prj_b"),
    ],
)
def test_one_word_is_the_branch_of_two_the_first_is_the_parent(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], path: str
) -> None:
    httpx_mock.add_response(method="POST", json={"name": "b"})
    assert run("branches", "renew", *args).json == {"ok": True, "branch": {"name": "b"}}
    httpx_mock.add_response(method="DELETE", status_code=204)
    parent = path.split("/")[3]
    deleted = run("branches", "delete", *args).json
    assert deleted == {"ok": True, "project_id": parent, "branch_project_id": "prj_b", "deleted": True}
    assert [request.url.path for request in httpx_mock.get_requests()] == [f"{path}/renew", path]


def test_renew_sends_days_only_when_given(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={}, is_reusable=True)
    run("branches", "renew", "prj_b")
    run("branches", "renew", "prj_b", "--ttl-days", "7")
    assert [request.content for request in httpx_mock.get_requests()] == [b"{}", b'{"ttl_days":7}']


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("create", "--email-mode", "loud"), "BAD_FLAG"),
        (("create", "--ttl-days", "31"), "BAD_FLAG"),
        (("renew", "prj_b", "--ttl-days", "0"), "BAD_FLAG"),
        (("create", "word"), "BAD_USAGE"),
        (("renew",), "BAD_USAGE"),
        (("delete", "prj_1", "prj_b", "more"), "BAD_USAGE"),
        (("delete", "prj_2", "prj_b", "--project", "prj_1"), "BAD_USAGE"),
    ],
)
def test_wrong_arguments_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("branches", *args).error["code"] == code
