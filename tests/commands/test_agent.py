"""run402 agent and message, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

CONTACT = f"{BASE}/agent/v1/contact"
MESSAGE = f"{BASE}/message/v1"


def test_a_contact_leaves_out_what_is_empty(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=CONTACT, json={"name": "n"}, is_reusable=True)
    assert run("agent", "contact", "--name", "n", "--email", "", "--webhook=").json == {"name": "n"}
    assert json.loads(httpx_mock.get_requests()[-1].content) == {"name": "n"}
    run("agent", "contact", "--name", "n", "--email", "not checked", "--webhook", "https://h.test/x")
    assert json.loads(httpx_mock.get_requests()[-1].content) == {
        "name": "n",
        "email": "not checked",
        "webhook": "https://h.test/x",
    }


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        (200, {"email_verification": {"last_challenge": None}}, {"last_challenge": None}),
        (200, {"email_verification": "odd"}, None),
        (200, [], None),
        (500, {}, None),
    ],
)
def test_status_adds_the_challenge_when_it_can_be_read(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, status: int, more: object, expected: object
) -> None:
    httpx_mock.add_response(method="GET", url=f"{CONTACT}/status", json={"wallet": "0x"})
    httpx_mock.add_response(method="GET", url=f"{BASE}/agent/v1/operator/status", status_code=status, json=more)
    record = run("agent", "status").json
    assert (record["wallet"], record.get("email_verification")) == ("0x", expected)


def test_verification_and_enrollment_have_no_body(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{CONTACT}/verify-email", json={})
    run("agent", "verify-email")
    httpx_mock.add_response(
        method="POST", url=f"{CONTACT}/passkey/enroll", status_code=412, json={"code": "UNVERIFIED"}
    )
    assert run("agent", "passkey", "enroll").error["code"] == "UNVERIFIED"
    assert [request.content for request in httpx_mock.get_requests()] == [b"", b""]


def test_a_message_is_joined_and_counted_in_bytes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=MESSAGE, json={"status": "ok"}, is_reusable=True)
    outcome = run("message", "send", "gr\u00fc\u00df", "--json", "dich")
    assert outcome.out == '{"bytes_sent":11,"sent":true}\n'
    assert json.loads(httpx_mock.get_requests()[-1].content) == {"message": "gr\u00fc\u00df dich"}
    assert run("message", "send", "\u00e9" * 4096).json["bytes_sent"] == 8192


def test_a_long_message_is_refused_before_the_wallet_is_looked_for(run: Run) -> None:
    error = run("message", "send", "\u00e9" * 4096 + "x").error
    assert (error["code"], error["details"]) == ("MESSAGE_TOO_LONG", {"bytes": 8193, "max_bytes": 8192})


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("agent", "contact"), "BAD_USAGE"),
        (("agent", "contact", "--name", ""), "BAD_USAGE"),
        (("agent", "contact", "word", "--name", "n"), "BAD_USAGE"),
        (("agent", "contact", "--name", "n", "--webhook", "http://h.test"), "BAD_WEBHOOK_URL"),
        (("agent", "contact", "--name", "n"), "NO_ALLOWANCE"),
        (("agent", "status", "word"), "BAD_USAGE"),
        (("agent", "status"), "NO_ALLOWANCE"),
        (("agent", "verify-email", "word"), "BAD_USAGE"),
        (("agent", "verify-email"), "NO_ALLOWANCE"),
        (("agent", "passkey"), "BAD_USAGE"),
        (("agent", "passkey", "drop"), "BAD_USAGE"),
        (("agent", "passkey", "enroll", "now"), "BAD_USAGE"),
        (("agent", "passkey", "enroll"), "NO_ALLOWANCE"),
        (("message", "send"), "BAD_USAGE"),
        (("message", "send", " "), "BAD_USAGE"),
        (("message", "send", "--subject", "x"), "UNKNOWN_FLAG"),
        (("message", "send", "x"), "NO_ALLOWANCE"),
    ],
)
def test_arguments_are_checked_before_the_wallet(run: Run, args: tuple[str, ...], code: str) -> None:
    assert run(*args).error["code"] == code
