"""Calls of tools against a recorded gateway: what is sent, what is shown, what is kept back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

from run402_cli import advice, global_options
from run402_cli.mcp import profiles
from run402_cli.mcp._long_results import MAX_ENTRIES, TTL_S, Store, windowed
from run402_cli.mcp._run import Content, Toolbox
from run402_cli.mcp._wording import Phrases
from run402_cli.mcp.tools import TOOLS
from run402_cli.services import allowance
from run402_cli.state.profile import Profile, select

API = "https://api.example.test"
SERVICE_KEY = "service-key-of-this-project"
PROJECT = "prj_1"


@pytest.fixture
def toolbox(monkeypatch: pytest.MonkeyPatch) -> Toolbox:
    monkeypatch.setenv("RUN402_API_BASE", API)
    return Toolbox(TOOLS)


@pytest.fixture
def wallet(toolbox: Toolbox) -> str:
    """The address of a wallet with cached keys of one project."""
    profile = Profile(select(None))
    address = allowance.create(profile).address
    profile.keys.upsert(PROJECT, {"anon_key": "anon-key-of-this-project", "service_key": SERVICE_KEY})
    return address


def run(toolbox: Toolbox, name: str, /, **arguments: Any) -> Content:
    return toolbox.call(toolbox.tools[name], arguments)


def signed(tools: dict[str, Any]) -> list[str]:
    return [name for name, tool in tools.items() if tool.allowance]


# -- wallets and credentials --------------------------------------------------------------------------------------------

MINIMAL: dict[str, Any] = {
    "string": "x",
    "int": 1,
    "[{file: string, data: string, encoding?: utf-8|base64}]": [],
}


@pytest.mark.parametrize("name", signed(dict(TOOLS)))
def test_a_tool_that_signs_sends_nothing_without_a_wallet(toolbox: Toolbox, httpx_mock: HTTPXMock, name: str) -> None:
    arguments = {param.name: MINIMAL[param.kind] for param in TOOLS[name].params if param.required}
    answer = run(toolbox, name, **arguments)
    assert answer.failed
    assert "allowance_create" in answer.text
    assert "request_faucet" in answer.text
    assert httpx_mock.get_requests() == []


def test_under_the_buyer_profile_a_missing_wallet_is_made_by_init(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", API)
    buyer = Toolbox(profiles.chosen(TOOLS, "buyer"), limited=True)
    assert "Call init." in run(buyer, "allowance_export").text
    answer = run(buyer, "generate_image", prompt="a cat", aspect="round")
    assert "was not called" in answer.text


def test_a_human_s_session_on_this_machine_is_never_used(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from run402_cli.state import sessions

    def session() -> Any:
        raise AssertionError("a session was looked for")

    monkeypatch.setattr(sessions, "operator_session", session)
    monkeypatch.setattr(sessions, "control_plane_session", session)
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "delegate-token")
    httpx_mock.add_response(json={"projects": []}, is_reusable=True)
    assert not run(toolbox, "list_projects", all=True, limit=7, cursor="c1").failed
    request = httpx_mock.get_requests()[0]
    assert request.url.path == "/agent/v1/operator/projects"
    assert dict(request.url.params) == {"limit": "7", "after": "c1"}
    assert "SIGN-IN-WITH-X" in request.headers
    assert "Authorization" not in request.headers
    assert request.headers["Run402-Client"] == 'surface="mcp"'


def test_the_next_call_sees_another_wallet_of_the_environment(
    toolbox: Toolbox, wallet: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert wallet in run(toolbox, "allowance_status").text
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path / "other"))
    assert run(toolbox, "allowance_status").structured == {
        "wallet": None,
        "hint": "No wallet yet. Create one: allowance_create. Or all at once: init",
    }


def test_a_service_key_is_taken_out_of_answers_and_errors(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"rows": [{"key": f"<{SERVICE_KEY}>"}], "row_count": 1, "schema": "p1"})
    answer = run(toolbox, "run_sql", project_id=PROJECT, sql="select 1")
    assert SERVICE_KEY not in answer.text + json.dumps(answer.structured)
    assert "<[redacted]>" in answer.text
    httpx_mock.add_response(status_code=400, json={"message": f"bad {SERVICE_KEY}", "code": "SQL_ERROR"})
    assert SERVICE_KEY not in run(toolbox, "run_sql", project_id=PROJECT, sql="select 1").text


def test_an_error_shows_no_key_by_shape_or_by_name(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    strange = "r402_service_" + "7c" * 24
    body = {"message": f"bad {strange}", "code": "SQL_ERROR", "details": {"anon_key": "of-the-cloud", "near": strange}}
    httpx_mock.add_response(status_code=400, json=body)
    text = run(toolbox, "run_sql", project_id=PROJECT, sql="select 1").text
    assert "SQL_ERROR" in text
    assert strange not in text
    assert "of-the-cloud" not in text


def test_accepted_transfers_are_saved_with_their_keys_and_shown_without(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock
) -> None:
    keys = {"anon_key": "anon-key-of-the-other", "service_key": "service-key-of-the-other"}
    httpx_mock.add_response(json={"project_id": "prj_2", **keys, "secret_names_inherited": ["TOKEN"]})
    answer = run(toolbox, "accept_project_transfer", transfer_id="t1")
    command = "project_key_cache_export --project prj_2 --reveal"
    assert answer.structured == {"project_id": "prj_2", "secret_names_inherited": ["TOKEN"], "keys_command": command}
    assert "service-key" not in answer.text
    profile = Profile(select(None))
    assert profile.keys.require("prj_2")["service_key"] == keys["service_key"]
    assert profile.active.get() == "prj_2"


def test_dry_run_shows_the_write_and_sends_reads_only(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(global_options.current, "dry_run", True)
    answer = run(toolbox, "rename_project", project_id=PROJECT, name="New")
    assert answer.structured is not None
    request = answer.structured["requests"][0]
    assert (request["method"], request["url"]) == ("PATCH", f"{API}/projects/v1/{PROJECT}")
    assert httpx_mock.get_requests() == []


# -- answers ------------------------------------------------------------------------------------------------------------


def test_a_payment_that_is_asked_for_is_a_result_where_the_tool_says_so(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock
) -> None:
    terms = {"price": "0.10", "pay_to": "0xabc"}
    httpx_mock.add_response(status_code=402, json={"message": "Payment required", "x402": terms}, is_reusable=True)
    answer = run(toolbox, "provision_postgres_project")
    assert not answer.failed
    assert answer.structured == {"payment_required": True, "http_status": 402, "payment": terms}
    assert "0xabc" in answer.text
    assert "repeat the same call of provision_postgres_project" in answer.text
    other = run(toolbox, "list_orgs")
    assert other.failed
    assert "(HTTP 402)" in other.text


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"message": "no", "code": "AUTHENTICATION_REQUIRED"}, ["allowance_status"]),
        (
            403,
            {"code": "NOT_AUTHORIZED", "message": "no", "details": {"required_role": "owner", "reason": "not_member"}},
            ["role owner", "reason not_member", "id may be wrong", "whoami"],
        ),
        (
            403,
            {"message": "frozen", "lifecycle_state": "frozen", "entered_state_at": "2026-01-01"},
            ["frozen", "set_tier"],
        ),
        (403, {"message": "no", "admin_required": True}, ["platform admins"]),
        (404, {"message": "gone"}, ["list_projects"]),
        (409, {"error": "Taken"}, ["Taken", "present state"]),
        (
            409,
            {"code": "PROJECT_HAS_PENDING_TRANSFER", "message": "x", "details": {"transfer_id": "tr_9"}},
            ["72 hours", "tr_9", "cancel_project_transfer"],
        ),
        (429, {"message": "slow"}, ["Retry-After"]),
        (503, {"message": "down", "trace_id": "tr-1", "retryable": True}, ["trace_id: tr-1", "service_status"]),
        (
            403,
            {
                "code": "PROJECT_PAST_DUE",
                "message": "late",
                "usage": {"api_calls": 5, "limit": 9, "storage_bytes": 1, "storage_limit": 2},
                "next_actions": [{"type": "renew_tier", "command": "run402 tier set prototype"}],
            },
            [
                "API calls 5 of 9",
                "storage 1 of 2",
                'renew_tier: set_tier {"tier":"prototype"}',
                "Next: Renew the tier with set_tier",
            ],
        ),
    ],
)
def test_an_error_says_what_was_done_what_is_known_and_one_next_step(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock, status: int, body: dict[str, Any], expected: list[str]
) -> None:
    httpx_mock.add_response(status_code=status, json=body)
    answer = run(toolbox, "project_get", project_id=PROJECT)
    assert answer.failed
    first = answer.text.splitlines()[0]
    said = body.get("message") or body.get("error")
    assert first == f"project_get failed while reading the project: {said} (HTTP {status})"
    for text in expected:
        assert text in answer.text
    assert answer.text.count("\nNext: ") == 1


def test_a_missing_key_is_a_miss_of_the_cache_and_nothing_is_sent(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock
) -> None:
    answer = run(toolbox, "get_usage", project_id="prj_unknown")
    assert "PROJECT_CREDENTIAL_NOT_FOUND" in answer.text
    assert "not proof that the project does not exist" in answer.text
    assert httpx_mock.get_requests() == []


def test_without_an_active_project_a_fallback_is_an_error(toolbox: Toolbox, wallet: str) -> None:
    assert "project_use" in run(toolbox, "get_schema").text


def test_a_defect_is_an_error_without_the_exception_s_own_text(
    toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from run402_cli.services import service

    def broken(_client: Any) -> Any:
        raise RuntimeError("secret-in-the-text")

    monkeypatch.setattr(service, "health", broken)
    answer = run(toolbox, "service_health")
    assert answer.failed
    assert "RuntimeError" in answer.text
    assert "secret-in-the-text" not in answer.text


def test_an_image_comes_as_text_and_picture(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"aspect": "square", "content_type": "image/png", "image": "aGk="})
    answer = run(toolbox, "generate_image", prompt="a cat")
    assert [(image.data, image.mime_type) for image in answer.images] == [("aGk=", "image/png")]
    assert "Settlement: nothing was paid." in answer.text
    assert "aGk=" not in answer.text


def test_tools_check_what_the_commands_check(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    for name, arguments in (
        ("delete_mailbox", {"project_id": PROJECT, "confirm": False}),
        ("pay_url", {"url": "https://seller.test/x", "body": "hello"}),
        ("pay_url", {"url": "file:///etc/passwd"}),
        ("create_checkout", {"org_id": "o", "product": "tier"}),
        ("initiate_project_transfer", {"project_id": PROJECT, "to_wallet": "0x1", "to_email": "a@b.co"}),
        ("initiate_project_transfer", {"project_id": PROJECT, "to_email": "a@b.co", "billing_policy": "migrate"}),
        ("list_projects", {"all": True, "org_id": "o"}),
        ("errors_list", {"project_id": PROJECT, "fingerprint_id": "f", "limit": 3}),
        ("update_mailbox_webhook", {"project_id": PROJECT, "webhook_id": "w"}),
        ("set_mailbox_defaults", {"project_id": PROJECT}),
        ("request_magic_link", {"project_id": PROJECT, "email": "a@b.co"}),
        ("verify_magic_link", {"project_id": PROJECT, "code": "123456"}),
        ("assets_put", {"project_id": PROJECT, "key": "k", "content": "x", "local_path": "y"}),
        ("deploy_diagnose_url", {"project_id": PROJECT, "url": "https://a.test", "host": "a.test"}),
        ("list_project_events", {}),
        ("join_room", {"project_id": PROJECT, "org_id": "o", "room_key": "r"}),
        ("raise_escalation", {"reason": "help"}),
        ("claim_subdomain", {"name": "shop", "deployment_id": "d"}),
    ):
        answer = run(toolbox, name, **arguments)
        assert answer.failed, name
        assert "was not called" not in answer.text, name
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize(
    ("name", "arguments", "method", "target", "body"),
    [
        ("ci_get_binding", {"binding_id": "b/1"}, "GET", "/ci/v1/bindings/b%2F1", None),
        (
            "deploy_list",
            {"project_id": PROJECT, "limit": 2, "cursor": "c"},
            "GET",
            "/apply/v1/operations?limit=2&cursor=c",
            None,
        ),
        ("get_operator_status", {}, "GET", "/agent/v1/operator/status", None),
        (
            "create_function_run",
            {
                "project_id": PROJECT,
                "name": "report",
                "event_type": "daily",
                "idempotency_key": "k1",
                "delay_seconds": 90,
                "retry": {"max_attempts": 3, "min_delay_seconds": 1.5},
            },
            "POST",
            "/functions/v1/report/runs",
            {
                "event_type": "daily",
                "idempotency_key": "k1",
                "delay_seconds": 90,
                "retry": {"preset": "standard", "max_attempts": 3, "min_delay_seconds": 1.5},
            },
        ),
        (
            "update_function",
            {"project_id": PROJECT, "name": "report", "schedule": None},
            "PATCH",
            f"/projects/v1/admin/{PROJECT}/functions/report",
            {"schedule": None},
        ),
        (
            "auth_settings",
            {"project_id": PROJECT, "preferred_sign_in_method": None},
            "PATCH",
            "/auth/v1/settings",
            {"preferred_sign_in_method": None},
        ),
        (
            "set_org_payout_wallet",
            {"org_id": "o1", "wallet_address": None},
            "PATCH",
            "/orgs/v1/o1/payout-wallet",
            {"wallet_address": None},
        ),
        (
            "create_project_grant",
            {"project_id": PROJECT, "wallet": "0x1", "capability": "deploy", "policy": {"a": 1}},
            "POST",
            f"/projects/v1/{PROJECT}/grants",
            {"wallet": "0x1", "capability": "deploy", "policy": {"a": 1}},
        ),
    ],
)
def test_inputs_reach_the_gateway_as_it_names_them(
    toolbox: Toolbox,
    wallet: str,
    httpx_mock: HTTPXMock,
    name: str,
    arguments: dict[str, Any],
    method: str,
    target: str,
    body: Any,
) -> None:
    httpx_mock.add_response(json={})
    assert not run(toolbox, name, **arguments).failed
    request = httpx_mock.get_requests()[-1]
    assert (request.method, request.url.raw_path.decode()) == (method, target)
    assert (json.loads(request.content) if request.content else None) == body


def test_a_function_is_called_with_the_headers_and_the_text_that_were_given(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(json={"ok": True}, is_reusable=True)
    for body, headers, sent_type in (
        ("plain words", {}, "text/plain; charset=utf-8"),
        ('{"a":1}', {"X-Trace": "t"}, "application/json"),
        ({"a": 1}, {"content-type": "application/vnd.a+json"}, "application/vnd.a+json"),
    ):
        answer = run(toolbox, "invoke_function", project_id=PROJECT, name="hello", body=body, headers=headers)
        assert not answer.failed, answer.text
        request = httpx_mock.get_requests()[-1]
        assert request.headers["content-type"] == sent_type
        for key, value in headers.items():
            assert request.headers[key] == value
    bad = run(toolbox, "invoke_function", project_id=PROJECT, name="hello", headers={"X": "a\r\nY: b"})
    assert bad.failed
    assert len(httpx_mock.get_requests()) == 3


def test_a_checkout_sends_the_payer_back(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    org_id = "11111111-2222-4333-8444-555555555555"
    httpx_mock.add_response(method="GET", json={"org_id": org_id})
    httpx_mock.add_response(method="POST", json={"checkout_url": "https://pay.test"})
    urls = {"success_url": "https://a.test/ok", "cancel_url": "https://a.test/no"}
    arguments = {"org_id": org_id, "product": "balance_topup", "amount_usd_micros": 5_000_000.0}
    assert not run(toolbox, "create_checkout", **arguments, **urls).failed
    sent = json.loads(httpx_mock.get_requests(method="POST")[0].content)
    assert sent == {"product": "balance_topup", "amount_usd_micros": 5_000_000, **urls}


def test_a_balance_is_that_of_the_wallet_s_organization(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    address, org_id = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "11111111-2222-4333-8444-555555555555"
    httpx_mock.add_response(url=f"{API}/orgs/v1/lookup?wallet={address.lower()}", json={"org_id": org_id})
    httpx_mock.add_response(url=f"{API}/orgs/v1/{org_id}/billing", json={"available_usd_micros": 7})
    assert run(toolbox, "check_balance", wallet=address).structured == {
        "wallet": address.lower(),
        "available_usd_micros": 7,
    }


def test_a_received_message_comes_as_base64(toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(content=b"From: a\r\n\xff")
    answer = run(toolbox, "get_email_raw", project_id=PROJECT, message_id="m1", mailbox="mbx_1")
    assert answer.structured == {"message_id": "m1", "bytes": 10, "content_base64": "RnJvbTogYQ0K/w=="}


def test_init_makes_a_wallet_and_asks_the_faucet_once(toolbox: Toolbox, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{API}/faucet/v1", json={"transaction_hash": "0x1"})
    httpx_mock.add_response(url=f"{API}/tiers/v1/status", status_code=500, json={}, is_reusable=True)
    first, second = run(toolbox, "init"), run(toolbox, "init")
    assert first.structured is not None
    assert second.structured is not None
    assert (first.structured["created"], second.structured["created"]) == (True, False)
    assert second.structured["faucet"] == "funded before"
    assert first.structured["tier"] is None
    assert "set_tier" in first.text
    profile = Profile(select(None))
    assert profile.allowance is not None
    assert profile.allowance.private_key.removeprefix("0x") not in first.text + second.text


# -- rooms --------------------------------------------------------------------------------------------------------------

ROOM = {"org_id": "org_1", "room_key": "war"}
ROOM_URL = f"{API}/orgs/v1/org_1/rooms/war"


def test_a_room_is_entered_once_for_this_server_and_nothing_is_written_to_the_directory(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    httpx_mock.add_response(method="POST", url=f"{ROOM_URL}/presences", json={"presence_id": "prs_1", "name": "Ada"})
    httpx_mock.add_response(
        method="GET", url=f"{ROOM_URL}/presences?include_expired=false", json={"presences": [1]}, is_reusable=True
    )
    httpx_mock.add_response(
        method="GET", url=f"{ROOM_URL}/claims?include_inactive=false", json={"claims": [2]}, is_reusable=True
    )
    first = run(toolbox, "join_room", **ROOM, requested_name="Ada").structured
    assert first == {**ROOM, "you": {"presence_id": "prs_1", "name": "Ada"}, "presences": [1], "claims": [2]}
    second = run(toolbox, "join_room", **ROOM).structured
    assert second is not None
    assert second["you"] == {"presence_id": "prs_1", "reused": True}
    assert list(tmp_path.iterdir()) == []


def test_an_expired_presence_is_replaced_under_the_name_of_before_and_the_call_is_repeated_once(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="POST", url=f"{ROOM_URL}/presences", json={"presence_id": "prs_1", "name": "Ada-2"})
    httpx_mock.add_response(method="GET", json={}, is_reusable=True)
    run(toolbox, "join_room", **ROOM, requested_name="Ada")
    expired = {"code": "PRESENCE_EXPIRED", "message": "expired"}
    httpx_mock.add_response(method="POST", url=f"{ROOM_URL}/messages", status_code=409, json=expired)
    httpx_mock.add_response(method="POST", url=f"{ROOM_URL}/presences", json={"presence_id": "prs_2", "name": "Ada"})
    httpx_mock.add_response(method="POST", url=f"{ROOM_URL}/messages", json={"message_id": "m1"})
    assert not run(toolbox, "send_room_message", **ROOM, body="hi").failed
    posts = [json.loads(request.content) for request in httpx_mock.get_requests(method="POST")]
    assert [post.get("presence_id") for post in posts] == [None, "prs_1", None, "prs_2"]
    assert posts[2] == {"requested_name": "Ada"}


# -- kept results, phrases ----------------------------------------------------------------------------------------------


def test_kept_lists_end_after_half_an_hour_and_the_oldest_goes_first() -> None:
    now = [0.0]
    store = Store(clock=lambda: now[0])
    refs = [store.keep([number]) for number in range(MAX_ENTRIES + 1)]
    assert all(len(ref) == len("res_") + 16 for ref in refs)
    toolbox = Toolbox(TOOLS)
    toolbox.store = store
    assert run(toolbox, "expand_result", ref=refs[0]).failed
    assert run(toolbox, "expand_result", ref=refs[1]).structured == {
        "ref": refs[1],
        "offset": 0,
        "shown": 1,
        "total": 1,
        "next_offset": None,
        "items": [1],
    }
    now[0] = TTL_S
    gone = run(toolbox, "expand_result", ref=refs[1])
    assert gone.text == run(toolbox, "expand_result", ref=refs[1]).text
    assert gone.text.replace(refs[1], "") == run(toolbox, "expand_result", ref=refs[0]).text.replace(refs[0], "")


def test_every_long_list_is_cut_where_it_stands() -> None:
    store = Store()
    cut, cuts = windowed(store, {"a": list(range(30)), "b": {"c": list(range(5))}})
    assert cut == {"a": list(range(20)), "b": {"c": list(range(5))}}
    assert [(each["path"], each["total"]) for each in cuts] == [("a", 30)]
    assert store.read(cuts[0]["ref"], offset=25, limit=3) == {
        "ref": cuts[0]["ref"],
        "offset": 25,
        "shown": 3,
        "total": 30,
        "next_offset": 28,
        "items": [25, 26, 27],
    }


def test_commands_in_messages_become_tools() -> None:
    phrases = Phrases(TOOLS)
    assert phrases.told("List yours: run402 projects list") == "List yours: list_projects"
    assert phrases.told("run402 functions runs get fnrun_1") == "get_function_run fnrun_1"
    assert phrases.told("run402 core start --use") == "run402 core start --use"
    assert phrases.told("Or run402 init --api-base http://127.0.0.1:4020.") == (
        "Or run402 init --api-base http://127.0.0.1:4020."
    )
    assert phrases.told("Go on: `run402 projects provision --name shop`, then run402 up --check") == (
        "Go on: `provision_postgres_project --name shop`, then run402 up --check"
    )
    buyer = Phrases(profiles.chosen(TOOLS, "buyer"), limited=True)
    assert buyer.told("No funds. Renew with run402 tier set prototype. See run402 allowance status.") == (
        "No funds. See allowance_status."
    )


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (("projects", "list"), {"tool": "list_projects", "arguments": {}}),
        (("projects", "use", "prj_1"), {"tool": "project_use", "arguments": {"project_id": "prj_1"}}),
        (
            ("credentials", "project-keys", "export", "--project", "prj_1", "--reveal"),
            {"tool": "project_key_cache_export", "arguments": {"project_id": "prj_1", "reveal": True}},
        ),
        (("projects", "use", "a", "b"), {"tool": "project_use"}),
        (("deploy", "list", "--limit", "5"), {"tool": "deploy_list"}),
        (("core", "start"), {"command": "run402 core start", "argv": ["run402", "core", "start"]}),
        (("projects", "list", "--help"), {"command": "run402 projects list --help"}),
    ],
)
def test_the_command_of_an_action_becomes_a_call(words: tuple[str, ...], call: dict[str, Any]) -> None:
    told = Phrases(TOOLS).action(advice.action("run_command", *words, why="w"))
    told = {key: value for key, value in told.items() if key in call or key == "tool"}
    assert told == call


def test_commands_in_rows_are_told_as_tools_and_what_users_stored_is_not(
    toolbox: Toolbox, wallet: str, httpx_mock: HTTPXMock
) -> None:
    rows = [{"id": "prj_3", "anon_key": "a", "service_key": "s", "name": "run402 projects list"}]
    httpx_mock.add_response(json={"projects": rows})
    [row] = run(toolbox, "list_projects").structured["projects"]
    assert row["keys_command"] == "project_key_cache_export --project prj_3 --reveal"
    assert row["name"] == "run402 projects list"


def test_the_actions_of_a_failure_name_tools(toolbox: Toolbox, wallet: str) -> None:
    text = run(toolbox, "run_sql", sql="select 1", project_id="prj_none").text
    assert 'next action: run_command: project_key_cache_status {"project_id":"prj_none"}' in text
