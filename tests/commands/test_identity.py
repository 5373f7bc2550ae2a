"""run402 identity, as typed. The oracle of wallet signatures is eth-account; events are signed with the curve library."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from config_kit import ADDRESS
from eth_account import Account
from eth_account.messages import encode_defunct
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli import curve
from run402_cli.services import _nostr

AUTHOR, OWNER = b"\x01" * 32, b"\x02" * 32
KEY = curve.public_key(AUTHOR)[:32].hex()
BEGIN = ("identity", "link", "nostr", "begin", "--visibility", "public")
COMPLETE = ("identity", "link", "nostr", "complete")


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def payload(**changes: Any) -> str:
    fields = {
        "action": "link_external_identity",
        "audience": "https://api.run402.com/identity-links/v1",
        "challenge_expires_at": "2026-03-15T00:10:00.000Z",
        "challenge_id": "ilc_abc123",
        "issued_at": "2026-03-15T00:00:00.000Z",
        "nonce": "n" * 43,
        "nostr_event_kind": 1,
        "nostr_pubkey": KEY,
        "principal_id": "prin_abc",
        "protocol": "run402.identity-link.nostr.v1",
        "visibility": "public",
        "wallet_account": f"eip155:8453:{ADDRESS}",
        "wallet_signature_scheme": "eip191_personal_sign",
    }
    fields |= changes
    return canonical({key: value for key, value in fields.items() if value is not None})


def signature(text: str) -> str:
    account = Account.from_key("0x" + "11" * 32)
    return f"0x{bytes(account.sign_message(encode_defunct(text=text)).signature).hex()}"


def event(content: str | None = None, tags: Any = None, key: bytes = AUTHOR) -> dict[str, Any]:
    if content is None:
        content = canonical({"public_payload": payload(), "wallet_signature": signature(payload())})
    fields = {
        "pubkey": curve.public_key(key)[:32].hex(),
        "created_at": 1773532800,
        "kind": 1,
        "tags": tags or [],
        "content": content,
    }
    known = hashlib.sha256(
        json.dumps([0, *fields.values()], separators=(",", ":"), ensure_ascii=False).encode()
    ).digest()
    return {"id": known.hex(), **fields, "sig": curve.sign_schnorr(key, known).hex()}


def attestation(owner: bytes = OWNER, author: str = KEY) -> list[str]:
    digest = hashlib.sha256(f"nostr:agent-auth:{author}:".encode()).digest()
    return ["auth", curve.public_key(owner)[:32].hex(), "", curve.sign_schnorr(owner, digest).hex()]


# -- begin --------------------------------------------------------------------------------------------------------------


def test_begin_signs_the_challenge_with_the_wallet(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=201, json={"public_payload": payload(), "disclosure": {"warning": "w"}})
    shown = run(*BEGIN, "--pubkey", KEY, "--idempotency-key", "k1").json
    assert Account.recover_message(encode_defunct(text=payload()), signature=shown["wallet_signature"]) == ADDRESS
    assert shown["wallet_address"] == ADDRESS
    assert shown["disclosure"] == {"warning": "w"}
    wrapper = json.loads(shown["proof_content"])
    assert wrapper == {"public_payload": payload(), "wallet_signature": shown["wallet_signature"]}
    assert shown["proof_content"] == canonical(wrapper)
    (request,) = httpx_mock.get_requests()
    assert json.loads(request.content) == {"nostr_pubkey": KEY, "visibility": "public"}
    assert request.headers["idempotency-key"] == "k1"
    assert "sign-in-with-x" in request.headers


def test_what_begin_prints_is_what_complete_takes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/identity-links/v1/challenges", json={"public_payload": payload()})
    httpx_mock.add_response(url=f"{BASE}/identity-links/v1", json={"status": "active"})
    content = run(*BEGIN, "--pubkey", KEY).json["proof_content"]
    assert run(*COMPLETE, "--event-stdin", stdin=json.dumps(event(content))).json == {"status": "active"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nostr_pubkey": curve.public_key(OWNER)[:32].hex()}, "INVALID_PAYLOAD"),
        ({"wallet_account": "eip155:8453:0x" + "1" * 40}, "EOA_SIGNER_MISMATCH"),
        ({"wallet_account": f"eip155:1:{ADDRESS}"}, "INVALID_PAYLOAD"),
        ({"audience": "https://evil.test"}, "INVALID_PAYLOAD"),
        ({"nostr_event_kind": True}, "INVALID_PAYLOAD"),
        ({"visibility": None}, "INVALID_PAYLOAD"),
        ({"nonce": "n" * 42}, "INVALID_PAYLOAD"),
        ({"issued_at": "2026-03-15"}, "INVALID_PAYLOAD"),
        ({"amount": 1}, "UNKNOWN_FIELD"),
        ({"seed_phrase": "x"}, "SECRET_INPUT_FORBIDDEN"),
        ({"nonce": "n" * 5000}, "INVALID_PAYLOAD"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_nothing_is_signed_but_the_challenge_that_was_asked_for(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, changes: dict[str, Any], code: str
) -> None:
    httpx_mock.add_response(json={"public_payload": payload(**changes)})
    error = run(*BEGIN, "--pubkey", KEY).error
    assert (error["code"], error["category"]) == (f"IDENTITY_LINK_{code}", "local")


@pytest.mark.parametrize("text", [payload() + " ", payload().replace(",", ", ", 1), None])
def test_a_challenge_in_another_form_is_refused(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, text: str | None
) -> None:
    httpx_mock.add_response(json={"public_payload": text})
    code = "NONCANONICAL" if text else "INVALID_PAYLOAD"
    assert run(*BEGIN, "--pubkey", KEY).error["code"] == f"IDENTITY_LINK_{code}"


def test_without_a_wallet_there_is_nothing_to_sign_with(run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"public_payload": payload()})
    assert run(*BEGIN, "--pubkey", KEY).error["code"] == "IDENTITY_LINK_EOA_SIGNER_REQUIRED"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (BEGIN, "BAD_FLAG"),
        ((*BEGIN[:4], "--pubkey", KEY), "BAD_FLAG"),
        ((*BEGIN[:4], "--pubkey", KEY, "--visibility", "private"), "IDENTITY_LINK_PUBLIC_VISIBILITY_REQUIRED"),
        ((*BEGIN, "--pubkey", "npub1x"), "IDENTITY_LINK_INVALID_PAYLOAD"),
        ((*BEGIN, "--pubkey", KEY, "word"), "BAD_USAGE"),
        ((*BEGIN, "--pubkey", KEY, "--nsec", "nsec1x"), "UNKNOWN_FLAG"),
        (COMPLETE, "IDENTITY_LINK_EVENT_SOURCE_REQUIRED"),
        ((*COMPLETE, "--event-file", "a", "--event-stdin"), "IDENTITY_LINK_EVENT_SOURCE_REQUIRED"),
        ((*COMPLETE, "--event-file", "missing.json"), "FILE_NOT_FOUND"),
        (("identity",), "UNKNOWN_SUBCOMMAND"),
        (("identity", "frob"), "UNKNOWN_SUBCOMMAND"),
        (("identity", "link", "frob"), "UNKNOWN_SUBCOMMAND"),
        (("identity", "link", "nostr", "frob"), "UNKNOWN_SUBCOMMAND"),
        (("identity", "link", "show"), "BAD_USAGE"),
        (("identity", "link", "revoke"), "BAD_USAGE"),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(
    run: Run, wallet: Path, args: tuple[str, ...], code: str
) -> None:
    assert run(*args).error["code"] == code


def test_an_unknown_word_below_link_says_where(run: Run, wallet: Path) -> None:
    details = run("identity", "link", "nostr", "begun").error["details"]
    assert details == {
        "command": "identity link nostr",
        "subcommand": "begun",
        "closest": ["begin"],
        "known_subcommands": ["begin", "complete"],
    }


@pytest.mark.parametrize("args", [("--help",), ("link",), ("link", "frob", "-h"), ("link", "nostr")])
def test_help_always_helps(run: Run, args: tuple[str, ...]) -> None:
    outcome = run("identity", *args)
    assert outcome.exit == 0
    assert "link nostr begin" in outcome.out


# -- complete -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tags", [[], [attestation()]])
def test_a_good_event_is_sent_with_its_seven_fields(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, tags: list[Any]
) -> None:
    signed = event(tags=tags)
    Path("event.json").write_text(json.dumps(signed, indent=1))
    httpx_mock.add_response(method="POST", url=f"{BASE}/identity-links/v1", json={"status": "active"})
    assert run(*COMPLETE, "--event-file", "event.json").json == {"status": "active"}
    (request,) = httpx_mock.get_requests()
    assert json.loads(request.content) == {"identity_link_challenge_id": "ilc_abc123", "nostr_event": signed}


def refused(run: Run, value: Any) -> str:
    text = value if isinstance(value, bytes | str) else json.dumps(value)
    code = run(*COMPLETE, "--event-file", "-", stdin=text).error["code"]
    assert isinstance(code, str)
    return code.removeprefix("IDENTITY_LINK_")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b" " * 32_769, "INVALID_JSON"),
        (b"\xff", "INVALID_UTF8"),
        (b"\xef\xbb\xbf{}", "INVALID_JSON"),
        ("{", "INVALID_JSON"),
        ('{"id": NaN}', "INVALID_JSON"),
        ("[" * 20_000, "INVALID_JSON"),
        (r'{"id": "\ud800"}', "INVALID_JSON"),
        ('{"id": 1, "id": 1}', "DUPLICATE_FIELD"),
        ('{"a": [{"Private-Key": "x"}]}', "SECRET_INPUT_FORBIDDEN"),
        ('{"my_nsec": "x"}', "SECRET_INPUT_FORBIDDEN"),
        ('{"nostrkey": "x"}', "SECRET_INPUT_FORBIDDEN"),
        ("[]", "INVALID_EVENT"),
        ("{}", "INVALID_EVENT"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_a_text_that_is_no_event_is_refused(run: Run, wallet: Path, text: str | bytes, code: str) -> None:
    assert refused(run, text) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"relay": "x"}, "UNKNOWN_FIELD"),
        ({"id": "0" * 64}, "INVALID_EVENT"),
        ({"id": "A" * 64}, "INVALID_EVENT"),
        ({"sig": "0" * 128}, "INVALID_EVENT"),
        ({"sig": "0" * 127}, "INVALID_EVENT"),
        ({"kind": 2}, "INVALID_EVENT"),
        ({"kind": True}, "INVALID_EVENT"),
        ({"created_at": -1}, "INVALID_EVENT"),
        ({"created_at": 1.5}, "INVALID_EVENT"),
        ({"created_at": "1"}, "INVALID_EVENT"),
        ({"tags": {}}, "INVALID_EVENT"),
        ({"tags": [["a", 1]]}, "INVALID_EVENT"),
        ({"content": 5}, "INVALID_EVENT"),
    ],
)
def test_an_event_with_a_wrong_field_is_refused(run: Run, wallet: Path, changes: dict[str, Any], code: str) -> None:
    assert refused(run, event() | changes) == code


def test_a_signed_event_with_too_much_in_it_is_refused(run: Run, wallet: Path) -> None:
    assert refused(run, event(content="x" * 8193)) == "INVALID_EVENT"
    assert refused(run, event(tags=[attestation(), attestation()])) == "INVALID_EVENT"


@pytest.mark.parametrize(
    "tag",
    [
        ["e", "x"],
        attestation()[:3],
        [*attestation()[:2], "x", attestation()[3]],
        attestation(author="0" * 64),
        attestation(owner=AUTHOR),
        [*attestation()[:3], "0" * 128],
    ],
)
def test_a_tag_that_is_no_attestation_is_refused(run: Run, wallet: Path, tag: list[str]) -> None:
    assert refused(run, event(tags=[tag])) == "INVALID_NIP_OA"


GOOD = {"public_payload": payload(), "wallet_signature": signature(payload())}
HIGH_S = GOOD["wallet_signature"][:66] + "f" * 64 + "1b"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("hello", "NONCANONICAL"),
        ("{}", "NONCANONICAL"),
        (json.dumps(GOOD), "NONCANONICAL"),
        (canonical(GOOD | {"more": 1}), "NONCANONICAL"),
        (canonical(GOOD | {"wallet_signature": "0x00"}), "INVALID_WALLET_SIGNATURE"),
        (canonical(GOOD | {"wallet_signature": GOOD["wallet_signature"].upper()}), "INVALID_WALLET_SIGNATURE"),
        (canonical(GOOD | {"wallet_signature": HIGH_S}), "INVALID_WALLET_SIGNATURE"),
        (canonical(GOOD | {"wallet_signature": GOOD["wallet_signature"][:-2] + "1d"}), "INVALID_WALLET_SIGNATURE"),
        (canonical(GOOD | {"public_payload": payload(protocol="v2")}), "INVALID_PAYLOAD"),
    ],
)
def test_an_event_that_says_something_else_is_refused(run: Run, wallet: Path, content: str, code: str) -> None:
    assert refused(run, event(content)) == code


def test_an_event_of_another_author_is_refused(run: Run, wallet: Path) -> None:
    assert refused(run, event(key=OWNER)) == "INVALID_PAYLOAD"
    assert _nostr.verifies(KEY, event()["sig"], bytes.fromhex(event()["id"]))


def test_an_error_never_repeats_what_was_pasted(run: Run, wallet: Path) -> None:
    outcome = run(*COMPLETE, "--event-stdin", stdin='{"nsec": "nsec1verysecret"}')
    assert "verysecret" not in outcome.err + outcome.out


# -- the rest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "method", "path", "signed"),
    [
        (("list",), "GET", "/identity-links/v1", True),
        (("show", "l/1"), "GET", "/identity-link-proofs/v1/l%2F1", False),
        (("revoke", "l/1"), "DELETE", "/identity-links/v1/l%2F1", True),
    ],
)
def test_links_are_listed_shown_and_revoked(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], method: str, path: str, signed: bool
) -> None:
    httpx_mock.add_response(json={"identity_link_id": "l/1", "more": 1})
    assert run("identity", "link", *args).json == {"identity_link_id": "l/1", "more": 1}
    (request,) = httpx_mock.get_requests()
    assert (request.method, request.url.raw_path.decode()) == (method, path)
    assert ("sign-in-with-x" in request.headers) is signed
