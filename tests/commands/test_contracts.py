"""run402 contracts, as typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

TO = "0x4444444444444444444444444444444444444444"
SIGNERS = f"{BASE}/contracts/v1/signers"
CALL = ("--to", TO, "--abi", "[]", "--fn", "f", "--args", "[1]")


def body(httpx_mock: HTTPXMock) -> Any:
    return json.loads(httpx_mock.get_requests()[-1].content)


def test_a_second_signer_wants_confirmation_a_deleted_one_does_not_count(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(method="GET", url=SIGNERS, json={"signers": [{"status": "active"}, {"status": "deleted"}]})
    error = run("contracts", "provision-signer", "--chain", "base-sepolia").error
    assert (error["code"], error["details"]) == ("CONFIRMATION_REQUIRED", {"active_signers": 1})
    assert "--yes" in error["hint"]
    httpx_mock.add_response(method="GET", url=SIGNERS, json={"signers": [{"status": "deleted"}]})
    httpx_mock.add_response(method="POST", url=SIGNERS, json={"signer_id": "s"})
    flags = ("--chain", "base-sepolia", "--recovery", TO)
    assert run("contracts", "provision-signer", "prj_1", *flags).json == {"signer_id": "s"}
    assert body(httpx_mock) == {"chain": "base-sepolia", "recovery_address": TO}


def test_a_list_that_fails_asks_for_no_confirmation(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="GET", url=SIGNERS, status_code=500)
    httpx_mock.add_response(method="POST", url=SIGNERS, json={"signer_id": "s"})
    assert run("contracts", "provision-signer", "--chain", "base-mainnet").json == {"signer_id": "s"}


def test_a_call_sends_the_key_and_the_parsed_values(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/contracts/v1/call", json={"call_id": "c"})
    run("contracts", "call", "s/1", *CALL, "--value-wei", "00", "--idempotency-key", "k", "--project=prj_1")
    request = httpx_mock.get_requests()[-1]
    assert (request.headers["authorization"], request.headers["idempotency-key"]) == ("Bearer svc_key_1", "k")
    assert body(httpx_mock) == {
        "signer_id": "s/1",
        "chain": "base-mainnet",
        "contract_address": TO,
        "abi_fragment": [],
        "function_name": "f",
        "args": [1],
        "value": "00",
    }


def test_a_read_needs_no_project_and_no_credentials(run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/contracts/v1/read", json={"result": "42"})
    assert run("contracts", "read", "--chain", "base-sepolia", *CALL).json == {"result": "42"}
    headers = httpx_mock.get_requests()[0].headers
    assert not {"authorization", "sign-in-with-x", "apikey"} & set(headers)


def test_drain_and_delete_name_the_signer_twice(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{SIGNERS}/s%2F1/drain", json={"call_id": "c"})
    run("contracts", "drain", "s/1", "--to", TO, "--confirm")
    assert httpx_mock.get_requests()[-1].headers["x-confirm-drain"] == "s/1"
    assert body(httpx_mock) == {"destination_address": TO}
    httpx_mock.add_response(method="DELETE", url=f"{SIGNERS}/s", json={"signer_id": "s"})
    run("contracts", "delete", "prj_1", "s", "--confirm")
    assert httpx_mock.get_requests()[-1].headers["x-confirm-delete"] == "s"


def test_recovery_and_alert_report_what_was_set(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{SIGNERS}/s/recovery-address", json=None, is_reusable=True)
    expected = {"signer_id": "s", "recovery_address": TO, "updated": True}
    assert run("contracts", "set-recovery", "s", "--address", TO).json == expected
    assert run("contracts", "set-recovery", "s", "--clear").json["recovery_address"] is None
    assert body(httpx_mock) == {"recovery_address": None}
    httpx_mock.add_response(method="POST", url=f"{SIGNERS}/s/alert", json={})
    assert run("contracts", "set-alert", "s", "--threshold-wei", "7").json["threshold_wei"] == "7"
    assert body(httpx_mock) == {"threshold_wei": "7"}


@pytest.mark.parametrize(("code", "ok"), [("0x" + "ab" * 131_072, True), ("0x" + "ab" * 131_073, False)])
def test_bytecode_has_a_limit(run: Run, wallet: Path, httpx_mock: HTTPXMock, code: str, ok: bool) -> None:
    if ok:
        httpx_mock.add_response(method="POST", url=f"{BASE}/contracts/v1/deploy", json={"call_id": "c"})
    outcome = run("contracts", "deploy", "s", "--bytecode", code)
    assert outcome.exit == (0 if ok else 1)
    assert ok or outcome.error["code"] == "LOCAL_ERROR"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("provision-signer",), "BAD_USAGE"),
        (("provision-signer", "word", "--chain", "base-sepolia"), "BAD_USAGE"),
        (("provision-signer", "--chain", "base"), "BAD_FLAG"),
        (("provision-signer", "--chain", "base-sepolia", "--recovery", "0x1"), "BAD_FLAG"),
        (("get-signer",), "BAD_USAGE"),
        (("get-signer", "prj_1"), "BAD_USAGE"),
        (("get-signer", "s", "t"), "BAD_USAGE"),
        (("get-signer", "prj_2", "s", "--project", "prj_1"), "BAD_USAGE"),
        (("list-signers", "word"), "BAD_USAGE"),
        (("set-recovery", "s"), "BAD_USAGE"),
        (("set-recovery", "s", "--clear", "--address", TO), "BAD_USAGE"),
        (("set-recovery", "s", "--address", TO + "0"), "BAD_FLAG"),
        (("set-alert", "s"), "BAD_USAGE"),
        (("set-alert", "s", "--threshold-wei", "-1"), "BAD_FLAG"),
        (("set-alert", "s", "--threshold-wei", "\u0661"), "BAD_FLAG"),
        (("call", "s", "--to", TO, "--abi", "[]", "--fn", "f"), "BAD_USAGE"),
        (("call", "s", *CALL, "--chain", "ethereum"), "BAD_FLAG"),
        (("call", "s", *CALL, "--value-wei", "1.5"), "BAD_FLAG"),
        (("call", "s", "--to", "x", "--abi", "{", "--fn", "f", "--args", "["), "BAD_JSON_FLAG"),
        (("call", "s", "--to", "x", "--abi", "[]", "--fn", "f", "--args", "[]"), "BAD_FLAG"),
        (("deploy", "s"), "BAD_USAGE"),
        (("deploy", "s", "--bytecode", "0x"), "LOCAL_ERROR"),
        (("deploy", "s", "--bytecode", "0xabc"), "LOCAL_ERROR"),
        (("deploy", "s", "--bytecode", "6080"), "LOCAL_ERROR"),
        (("read", "--project", "prj_1"), "UNKNOWN_FLAG"),
        (("read", "word", "--chain", "base-sepolia", *CALL), "BAD_USAGE"),
        (("read", *CALL), "BAD_USAGE"),
        (("status",), "BAD_USAGE"),
        (("drain", "s", "--to", TO), "BAD_USAGE"),
        (("drain", "s", "--confirm", "--to", "0x"), "BAD_FLAG"),
        (("delete", "s"), "BAD_USAGE"),
        (("delete", "s", "--confirm", "--project", "prj_2"), "PROJECT_CREDENTIAL_NOT_FOUND"),
    ],
)
def test_wrong_arguments_send_nothing(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("contracts", *args).error["code"] == code
