"""run402 org, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

ORG = "/orgs/v1/o%2F1"

CALLS = [
    (("create",), "POST", "/orgs/v1", "{}"),
    (("create", "--name", "Acme"), "POST", "/orgs/v1", '{"display_name":"Acme"}'),
    (("get", "o/1"), "GET", ORG, ""),
    (("rename", "o/1", "--name", "N"), "PATCH", ORG, '{"display_name":"N"}'),
    (("rename", "o/1", "N"), "PATCH", ORG, '{"display_name":"N"}'),
    (("rename", "o/1", "--name", "N", "--clear"), "PATCH", ORG, '{"display_name":null}'),
    (("payout-wallet", "o/1", "0xa"), "PATCH", f"{ORG}/payout-wallet", '{"wallet_address":"0xa"}'),
    (("payout-wallet", "--clear", "o/1"), "PATCH", f"{ORG}/payout-wallet", '{"wallet_address":null}'),
    (("whoami",), "GET", "/agent/v1/whoami", ""),
    (("member", "add", "o/1", "0xa"), "POST", f"{ORG}/members", '{"wallet":"0xa"}'),
    (("members", "add", "o/1", "0xa", "--role=king"), "POST", f"{ORG}/members", '{"wallet":"0xa","role":"king"}'),
    (("member", "rm", "o/1", "--principal", "p"), "DELETE", f"{ORG}/members/p", ""),
    (("members", "rm", "o/1", "p"), "DELETE", f"{ORG}/members/p", ""),
    (("invite", "create", "o/1", "--email", "a@b"), "POST", f"{ORG}/invites", '{"email":"a@b","role":"developer"}'),
    (
        ("invites", "create", "o/1", "a@b", "--ttl-hours", "8760", "--role", "viewer"),
        "POST",
        f"{ORG}/invites",
        '{"email":"a@b","role":"viewer","invite_ttl_hours":8760}',
    ),
    (("invite", "rm", "o/1", "p"), "DELETE", f"{ORG}/invites/p", ""),
    (("invites", "rm", "o/1", "--principal", "p"), "DELETE", f"{ORG}/invites/p", ""),
    *(
        (("member", "role", "o/1", *words), "PATCH", f"{ORG}/members/p", '{"role":"viewer"}')
        for words in (
            ("--principal", "p", "--role", "viewer"),
            ("p", "viewer"),
            ("p", "--role", "viewer"),
            ("viewer", "--principal", "p"),
        )
    ),
]


@pytest.mark.parametrize(("args", "method", "path", "body"), CALLS, ids=lambda value: "_".join(value) if value else "-")
def test_each_command_sends_one_signed_request_and_prints_its_answer(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, path: str, body: str
) -> None:
    httpx_mock.add_response(json={"status": "ok", "more": 1})
    assert run("org", *args).json == {"status": "ok", "more": 1}
    (request,) = httpx_mock.get_requests()
    assert (request.method, request.url.raw_path.decode(), request.content.decode()) == (method, path, body)
    assert "sign-in-with-x" in request.headers


@pytest.mark.parametrize(
    ("args", "key"),
    [(("list",), "orgs"), (("member", "list", "o"), "members"), (("invites", "list", "o"), "invites")],
)
def test_lists_print_their_rows_only(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], key: str
) -> None:
    httpx_mock.add_response(json={key: [{"a": 1}], "other": 1})
    assert run("org", *args).json == {key: [{"a": 1}]}
    httpx_mock.add_response(text="{", headers={"content-type": "application/json"})
    assert run("org", *args).error["code"] == "ANSWER_UNREADABLE"


def test_audit_is_a_page_of_three_keys(run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"events": [{"id": 1}], "has_more": True, "next_cursor": "n", "org_id": "o"})
    page = run("org", "audit", "o", "--before", "b", "--after", "a", "--limit", "1000").json
    assert page == {"events": [{"id": 1}], "has_more": True, "next_cursor": "n"}
    assert httpx_mock.get_requests()[0].url.raw_path == b"/orgs/v1/o/audit?limit=1000&after=a&before=b"
    httpx_mock.add_response(json={})
    assert run("org", "audit", "o").json == {"events": [], "has_more": False, "next_cursor": None}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("create", "word"), "BAD_USAGE"),
        (("list", "word"), "BAD_USAGE"),
        (("get",), "BAD_USAGE"),
        (("get", "a", "b"), "BAD_USAGE"),
        (("rename", "o"), "BAD_USAGE"),
        (("rename", "--clear"), "BAD_USAGE"),
        (("rename", "o", "N", "--clear"), "BAD_USAGE"),
        (("rename", "o", "N", "--name", "M"), "BAD_USAGE"),
        (("payout-wallet", "o"), "BAD_USAGE"),
        (("payout-wallet", "o", "0xa", "--clear"), "BAD_USAGE"),
        (("audit", "o", "--limit", "1001"), "BAD_FLAG"),
        (("member", "add", "o"), "BAD_USAGE"),
        (("member", "role", "o", "--role", "viewer"), "BAD_USAGE"),
        (("member", "role", "o", "p", "viewer", "more"), "BAD_USAGE"),
        (("member", "role", "o", "p", "viewer", "--role", "admin"), "BAD_USAGE"),
        (("member", "rm", "o"), "BAD_USAGE"),
        (("member", "rm", "o", "p", "--principal", "q"), "BAD_USAGE"),
        (("invite", "create", "o"), "BAD_USAGE"),
        (("invite", "create", "o", "a@b", "--ttl-hours", "8761"), "BAD_FLAG"),
        (("member", "frobnicate"), "BAD_USAGE"),
        (("invites", "frobnicate", "o"), "BAD_USAGE"),
    ],
)
def test_wrong_arguments_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("org", *args).error["code"] == code


@pytest.mark.parametrize("group", ["member", "members", "invite", "invites"])
def test_a_group_without_action_shows_its_help_and_fails(run: Run, group: str) -> None:
    bare, asked = run("org", group), run("org", group, "--help")
    assert (bare.exit, asked.exit) == (1, 0)
    assert "needs an action: list" in bare.err
    assert asked.err == ""
    for outcome in (bare, asked):
        assert "Actions: list" in outcome.out


def test_without_any_credential_the_request_still_goes_out(run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=401, json={"code": "AUTH_REQUIRED"})
    error = run("org", "whoami").error
    assert (error["code"], error["next_actions"][0]["type"]) == ("AUTH_REQUIRED", "authenticate")
