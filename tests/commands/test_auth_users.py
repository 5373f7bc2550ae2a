"""run402 auth, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

EMAIL = ("--email", "ada@example.com")
URL = "https://app.example.com/in"
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
ANON, SERVICE, USER = "anon_key_1", "svc_key_1", "tok"
SIGN_IN = {"email": "ada@example.com", "delivery": "link", "redirect_url": URL}

CALLS: list[tuple[tuple[str, ...], str, str, str, Any]] = [
    (("verify", "--token", "t"), "POST", "/token?grant_type=magic_link", ANON, {"token": "t"}),
    (
        ("verify", "--challenge-id", UUID.upper(), "--code", "012345"),
        "POST",
        "/token?grant_type=email_code",
        ANON,
        {"challenge_id": UUID.upper(), "code": "012345"},
    ),
    (
        ("create-user", *EMAIL, "--admin", "true", "--invite", "--redirect", URL, "--state", "s"),
        "POST",
        "/admin/users",
        SERVICE,
        {
            "email": "ada@example.com",
            "is_admin": True,
            "send_invite": True,
            "redirect_url": URL,
            "client_state": "s",
        },
    ),
    (
        ("invite-user", *EMAIL, "--admin", "false", "--redirect", URL),
        "POST",
        "/admin/users",
        SERVICE,
        {"email": "ada@example.com", "is_admin": False, "send_invite": True, "redirect_url": URL},
    ),
    (
        ("passkey-register-options", "--token", USER, "--app-origin", "https://a"),
        "POST",
        "/passkeys/register/options",
        USER,
        {"app_origin": "https://a"},
    ),
    (
        ("passkey-register-verify", "--token", USER, "--challenge", "c", "--response", '{"a":[1]}', "--label", "l"),
        "POST",
        "/passkeys/register/verify",
        USER,
        {"challenge_id": "c", "response": {"a": [1]}, "label": "l"},
    ),
    (
        ("passkey-login-options", "--app-origin", "https://a", *EMAIL),
        "POST",
        "/passkeys/login/options",
        ANON,
        {"app_origin": "https://a", "email": "ada@example.com"},
    ),
    (
        ("passkey-login-verify", "--challenge", "c", "--response", "null"),
        "POST",
        "/passkeys/login/verify",
        ANON,
        {"challenge_id": "c", "response": None},
    ),
    (("passkeys", "--token", USER), "GET", "/passkeys", USER, None),
]


@pytest.mark.parametrize(("args", "method", "path", "bearer", "body"), CALLS, ids=lambda value: str(value)[:40])
def test_each_command_sends_one_request_and_prints_its_answer(
    run: Run,
    wallet: Path,
    httpx_mock: HTTPXMock,
    args: tuple[str, ...],
    method: str,
    path: str,
    bearer: str,
    body: Any,
) -> None:
    httpx_mock.add_response(json={"more": 1})
    assert run("auth", *args).json == {"more": 1}
    (request,) = httpx_mock.get_requests()
    assert (request.method, request.url.raw_path.decode()) == (method, f"/auth/v1{path}")
    assert (request.headers["apikey"], request.headers["authorization"]) == (ANON, f"Bearer {bearer}")
    assert "sign-in-with-x" not in request.headers
    assert (json.loads(request.content) if request.content else None) == body


@pytest.mark.parametrize(
    ("flags", "sent", "bearer", "shown"),
    [
        (("--redirect", URL), SIGN_IN, ANON, {**SIGN_IN, "intent": "signin"}),
        (
            ("--redirect", URL, "--intent", "invite", "--state", "s"),
            {**SIGN_IN, "intent": "invite", "client_state": "s"},
            SERVICE,
            {**SIGN_IN, "intent": "invite"},
        ),
        (
            ("--delivery", "code", "--intent", "recovery"),
            {"email": "ada@example.com", "delivery": "code", "intent": "recovery"},
            ANON,
            {"email": "ada@example.com", "delivery": "code", "intent": "recovery"},
        ),
    ],
)
def test_a_sign_in_mail_is_accepted_not_delivered(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...], sent: Any, bearer: str, shown: Any
) -> None:
    httpx_mock.add_response(json={"message": "m", "challenge_id": "c", "secret": 1})
    assert run("auth", "magic-link", *EMAIL, *flags).json == {
        **shown,
        "accepted": True,
        "message": "m",
        "challenge_id": "c",
    }
    (request,) = httpx_mock.get_requests()
    assert json.loads(request.content) == sent
    assert request.headers["authorization"] == f"Bearer {bearer}"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("magic-link",), "BAD_USAGE"),
        (("magic-link", "--email=", "--redirect", URL), "BAD_USAGE"),
        (("magic-link", *EMAIL, "--delivery", "pigeon"), "BAD_FLAG"),
        (("magic-link", *EMAIL), "BAD_USAGE"),
        (("magic-link", *EMAIL, "--delivery", "both"), "BAD_USAGE"),
        (("magic-link", *EMAIL, "--redirect", URL, "--intent", "x"), "BAD_FLAG"),
        (("magic-link", "--email", "a@b", "--redirect", URL), "LOCAL_ERROR"),
        (("magic-link", "--email", "a@b@c.d", "--redirect", URL), "LOCAL_ERROR"),
        (("magic-link", *EMAIL, "--redirect", "/in"), "LOCAL_ERROR"),
        (("magic-link", *EMAIL, "--redirect", "ftp://a.b"), "LOCAL_ERROR"),
        (("verify",), "BAD_USAGE"),
        (("verify", "--token", "t", "--code", "123456"), "BAD_USAGE"),
        (("verify", "--code", "123456"), "BAD_USAGE"),
        (("verify", "--challenge-id", UUID), "BAD_USAGE"),
        (("verify", "--challenge-id", "x" + UUID[1:], "--code", "123456"), "LOCAL_ERROR"),
        (("verify", "--challenge-id", UUID.replace("-4", "-6"), "--code", "123456"), "LOCAL_ERROR"),
        (("verify", "--challenge-id", UUID, "--code", "12345a"), "LOCAL_ERROR"),
        (("verify", "--challenge-id", UUID, "--code", "١٢٣٤٥٦"), "LOCAL_ERROR"),
        (("create-user", *EMAIL, "--admin", "yes"), "BAD_FLAG"),
        (("create-user",), "BAD_USAGE"),
        (("create-user", *EMAIL, "--invite"), "BAD_USAGE"),
        (("invite-user", *EMAIL), "BAD_USAGE"),
        (("set-password", "--token", "t"), "BAD_USAGE"),
        (("set-password", "--new", "p"), "BAD_USAGE"),
        (("settings",), "BAD_USAGE"),
        (("settings", "--preferred", "sms"), "BAD_FLAG"),
        (("settings", "--public-signup", "sms"), "BAD_FLAG"),
        (("settings", "--require-admin-passkey", "1"), "BAD_FLAG"),
        (("passkey-register-verify", "--token", "t", "--challenge", "c"), "BAD_USAGE"),
        (("passkey-register-verify", "--token", "t", "--challenge", "c", "--response", "{"), "BAD_JSON"),
        (("passkey-login-verify", "--challenge", "c", "--response", "NaN"), "BAD_JSON"),
        (("passkeys",), "BAD_USAGE"),
        (("delete-passkey", "--token", "t"), "BAD_USAGE"),
        (("scaffold-roles", "--table", "a; drop"), "BAD_FLAG"),
        (("scaffold-roles", "--user-col", "1a"), "BAD_FLAG"),
        (("scaffold-roles", "--roles", " , "), "BAD_FLAG"),
        (("scaffold-roles", "--cache-ttl", "601"), "BAD_FLAG"),
        (("scaffold-roles", "--project", "prj_1"), "UNKNOWN_FLAG"),
    ],
    ids=lambda value: "_".join(value)[:60] if isinstance(value, tuple) else value,
)
def test_what_cannot_work_is_refused_before_any_request(
    run: Run, wallet: Path, args: tuple[str, ...], code: str
) -> None:
    assert run("auth", *args).error["code"] == code


def test_without_a_project_that_is_said_first(run: Run) -> None:
    assert run("auth", "magic-link").error["code"] == "PROJECT_REQUIRED"


@pytest.mark.parametrize(
    ("flags", "sent"),
    [
        (("--preferred", "null"), {"preferred_sign_in_method": None}),
        (("--allowed-email-domains", "NONE"), {"allowed_email_domains": []}),
        (("--allowed-email-domains", " a.com,, b.org"), {"allowed_email_domains": ["a.com", "b.org"]}),
        (
            ("--allow-password-set", "false", "--require-admin-passkey", "true", "--public-signup", "open"),
            {"allow_password_set": False, "require_passkey_for_project_admin": True, "public_signup": "open"},
        ),
    ],
)
def test_settings_are_sent_as_given_and_overlaid_with_the_answer(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, flags: tuple[str, ...], sent: Any
) -> None:
    httpx_mock.add_response(method="PATCH", json={"public_signup": "known_email", "more": 1})
    assert run("auth", "settings", *flags).json == {**sent, "public_signup": "known_email", "more": 1}
    (request,) = httpx_mock.get_requests()
    assert json.loads(request.content) == sent
    assert request.headers["authorization"] == f"Bearer {SERVICE}"


def test_a_password_is_set_as_the_user_and_never_printed(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"status": "ok", "password": "pw"})
    outcome = run("auth", "set-password", "--token", USER, "--new", "pw-new", "--current", "pw-old")
    assert outcome.json == {"project_id": "prj_1", "password_set": True}
    (request,) = httpx_mock.get_requests()
    assert json.loads(request.content) == {"new_password": "pw-new", "current_password": "pw-old"}
    assert request.method == "POST"
    assert "pw" not in outcome.out.replace("password_set", "")


def test_deleting_a_passkey_encodes_its_id(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=204)
    assert run("auth", "delete-passkey", "--token", USER, "--id", "a/b").json == {"passkey_id": "a/b", "deleted": True}
    assert httpx_mock.get_requests()[0].url.raw_path == b"/auth/v1/passkeys/a%2Fb"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ({"enabled": True, "delivery_modes": ["code"]}, ["code"]),
        ({"enabled": True}, ["link"]),
    ],
)
def test_providers_spell_the_delivery_modes_both_ways(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, link: Any, shown: list[str]
) -> None:
    httpx_mock.add_response(json={"magic_link": link, "google": {"enabled": False}})
    assert run("auth", "providers").json == {
        "magic_link": {"enabled": True, "deliveryModes": shown, "delivery_modes": shown},
        "google": {"enabled": False},
    }


def test_the_role_scaffold_needs_no_project_and_quotes_the_role(run: Run) -> None:
    shown = run(
        "auth", "scaffold-roles", "--table", "staff", "--user-col", "uid", "--role-col", "r", "--roles", "o'p, b"
    ).json
    assert shown["gate"] == {
        "table": "staff",
        "idColumn": "uid",
        "roleColumn": "r",
        "allowed": ["o'p", "b"],
        "cacheTtl": 60,
    }
    assert "CREATE TABLE IF NOT EXISTS staff" in shown["migration"]
    assert "('<FIRST_OPERATOR_USER_ID>', 'o''p')" in shown["bootstrap"]
    assert len(shown["notes"]) == 5
