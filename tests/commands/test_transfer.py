"""run402 transfer, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

MOVED = {"status": "accepted", "project_id": "prj_1", "anon_key": "anon_new", "service_key": "svc_new"}


def state(wallet: Path, name: str) -> Any:
    return json.loads((wallet / name).read_bytes())


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        (
            ("--to", "0xAb", "--billing-policy", "migrate", "--message", "m", "--kysigned", "k"),
            {"to_wallet": "0xAb", "billing_policy": "migrate", "message": "m", "kysigned_record_id": "k"},
        ),
        (
            ("--to", "a@b", "--retain-collaborator", "developer"),
            {"to_email": "a@b", "retain_collaborator": {"role": "developer"}},
        ),
        (("--to", "a@b", "--message", "m"), {"to_email": "a@b", "message": "m"}),
    ],
)
def test_an_offer_names_one_recipient(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...], body: dict[str, Any]
) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/projects/v1/prj_1/transfers", json={"transfer_id": "t"})
    assert run("transfer", "init", *flags).json == {"transfer_id": "t"}
    assert json.loads(httpx_mock.get_requests()[0].content) == body


def test_a_move_to_an_own_organization_refreshes_the_keys_and_keeps_the_rest(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    path = wallet / "credentials" / "project-keys.v1.json"
    entry = {"anon_key": "old", "service_key": "old", "site_url": "https://s", "source": "manual_import"}
    path.write_text(json.dumps({"projects": {"prj_1": entry}}))
    httpx_mock.add_response(method="POST", json=MOVED)
    assert run("transfer", "init", "--to-org", "org_1").json == MOVED
    assert json.loads(httpx_mock.get_requests()[0].content) == {"to_org_id": "org_1"}
    saved = state(wallet, "credentials/project-keys.v1.json")["projects"]["prj_1"]
    assert saved.pop("cached_at")
    assert saved == {"anon_key": "anon_new", "service_key": "svc_new", "site_url": "https://s"}


@pytest.mark.parametrize(
    ("args", "path", "body"),
    [
        (("accept", "t/1"), "accept", {}),
        (("claim", "t/1"), "claim", {}),
        (
            ("claim", "t/1", "--into", "org_1", "--accept-retained-collaborator"),
            "claim",
            {"org_id": "org_1", "accept_retained_collaborator": True},
        ),
    ],
)
def test_taking_a_project_caches_its_keys_and_makes_it_active(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], path: str, body: dict[str, Any]
) -> None:
    answer = {**MOVED, "project_id": "prj_new"}
    httpx_mock.add_response(method="POST", url=f"{BASE}/agent/v1/transfers/t%2F1/{path}", json=answer)
    assert run("transfer", *args).json == answer
    assert json.loads(httpx_mock.get_requests()[0].content) == body
    assert state(wallet, "credentials/project-keys.v1.json")["projects"]["prj_new"]["service_key"] == "svc_new"
    assert state(wallet, "state.json")["active_project_id"] == "prj_new"


@pytest.mark.parametrize("missing", ["project_id", "anon_key", "service_key"])
def test_an_answer_without_keys_changes_no_file(run: Run, wallet: Path, httpx_mock: HTTPXMock, missing: str) -> None:
    before = {path: path.read_bytes() for path in wallet.rglob("*.json")}
    answer = {key: value for key, value in MOVED.items() if key != missing}
    httpx_mock.add_response(method="POST", json=answer)
    assert run("transfer", "accept", "t").json == answer
    assert {path: path.read_bytes() for path in wallet.rglob("*.json")} == before


@pytest.mark.parametrize("name", ["credentials/project-keys.v1.json", "state.json"])
@pytest.mark.parametrize("args", [("accept", "t"), ("claim", "t"), ("init", "--to-org", "o", "--project", "prj_1")])
def test_nothing_changes_hands_when_the_keys_could_not_be_saved(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, name: str, args: tuple[str, ...]
) -> None:
    (wallet / name).write_text("{damaged")
    assert run("transfer", *args).error["code"]
    assert httpx_mock.get_requests() == []
    assert (wallet / name).read_text() == "{damaged"


def test_list_preview_and_cancel(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    base = f"{BASE}/agent/v1/transfers"
    httpx_mock.add_response(url=f"{base}/incoming", json={"transfers": [], "total": 3})
    assert run("transfer", "list", "--incoming").json == {"direction": "incoming", "transfers": []}
    httpx_mock.add_response(url=f"{base}/outgoing?limit=5&after=c", json={"has_more": True, "next_cursor": "d"})
    page = run("transfer", "list", "--outgoing", "--after", "c", "--limit", "5").json
    assert page == {"direction": "outgoing", "has_more": True, "next_cursor": "d"}
    httpx_mock.add_response(url=f"{base}/t%2F1", json={"secret_names": ["A"]})
    assert run("transfer", "preview", "t/1").json == {"secret_names": ["A"]}
    httpx_mock.add_response(method="POST", url=f"{base}/t/cancel", json={"status": "cancelled"}, is_reusable=True)
    run("transfer", "cancel", "t")
    run("transfer", "cancel", "t", "--reason", "r")
    assert [request.content for request in httpx_mock.get_requests()[-2:]] == [b"{}", b'{"reason":"r"}']


@pytest.mark.parametrize(
    ("args", "code", "details"),
    [
        (("init",), "BAD_USAGE", None),
        (("init", "word", "--to", "0xa"), "BAD_USAGE", None),
        (("init", "--to", "0xa", "--to-org", "o"), "BAD_USAGE", None),
        (
            ("init", "--to", "0xa", "--billing-policy", "keep"),
            "BAD_FLAG",
            {"flag": "--billing-policy", "value": "keep", "allowed": ["migrate"]},
        ),
        (
            ("init", "--to", "0xa", "--retain-collaborator", "developer"),
            "BAD_FLAG",
            {"flag": "--retain-collaborator"},
        ),
        (
            ("init", "--to", "a@b", "--retain-collaborator", "owner"),
            "BAD_FLAG",
            {"flag": "--retain-collaborator", "value": "owner", "allowed": ["developer"]},
        ),
        (("init", "--to", "a@b", "--kysigned", "k"), "BAD_FLAG", {"flag": "--kysigned"}),
        (("init", "--to-org", "o", "--billing-policy", "migrate"), "BAD_FLAG", {"flag": "--billing-policy"}),
        (("list", "--incoming", "--outgoing"), "BAD_USAGE", None),
        (("list", "word"), "BAD_USAGE", None),
        (("list", "--limit", "1001"), "BAD_FLAG", None),
        (("preview",), "BAD_USAGE", None),
        (("accept", "a", "b"), "BAD_USAGE", None),
        (("claim",), "BAD_USAGE", None),
        (("cancel", "a", "b"), "BAD_USAGE", None),
    ],
)
def test_wrong_arguments_send_nothing(
    run: Run, wallet: Path, args: tuple[str, ...], code: str, details: dict[str, Any] | None
) -> None:
    error = run("transfer", *args).error
    assert error["code"] == code
    if details is not None:
        assert error["details"] == details


@pytest.mark.parametrize(
    "args",
    [
        ("init", "--to", "0xa", "--project", "prj_1"),
        ("preview", "t"),
        ("list",),
        ("accept", "t"),
        ("claim", "t"),
        ("cancel", "t"),
    ],
)
def test_every_command_needs_a_wallet_also_with_a_delegate_token(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "dlg")
    assert run("transfer", *args).error["code"] == "NO_ALLOWANCE"


def test_a_finished_transfer_keeps_the_gateways_code(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=409, json={"code": "TRANSFER_ALREADY_PROCESSED"})
    error = run("transfer", "accept", "t").error
    assert (error["code"], error["http"]) == ("TRANSFER_ALREADY_PROCESSED", 409)
