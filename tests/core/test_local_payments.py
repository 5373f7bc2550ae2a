"""A gateway that charges: the challenge, the payment that is accepted, and the many that are not."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from gateway_kit import Live

from run402_cli.client import siwx

KEY = "0x" + "33" * 32
OTHER = "0x" + "44" * 32
PRICE = 100_000
USDC = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
NOBODY = "0x000000000000000000000000000000000000dEaD"


@pytest.fixture
def charging(live: Live, client: httpx.Client) -> httpx.Client:
    """A client of a gateway that was started with --require-payment."""
    live.gateway.settings = dataclasses.replace(live.gateway.settings, require_payment=True)
    return client


def decoded(header: str) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(header)))


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def challenge(client: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = client.post("/projects/v1", **{"json": {"name": "shop"}, **more})
    assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_REQUIRED"), answer.text
    return decoded(answer.headers["payment-required"])


def authorization(payer: str, **changes: Any) -> dict[str, str]:
    nonce = "0x" + f"{time.monotonic_ns():064x}"
    fields = {"from": payer, "to": NOBODY, "value": PRICE, "validAfter": 0, "validBefore": int(time.time()) + 60}
    return {name: str(value) for name, value in {**fields, "nonce": nonce, **changes}.items()}


def sign(key: str, fields: dict[str, str], **domain: Any) -> str:
    """By eth-account, which is not our code."""
    names = {"from": "address", "to": "address", "nonce": "bytes32"}
    types = [{"name": name, "type": names.get(name, "uint256")} for name in fields]
    message: dict[str, Any] = {
        name: int(value) if name in ("value", "validAfter", "validBefore") else value for name, value in fields.items()
    }
    message["nonce"] = bytes.fromhex(fields["nonce"][2:])
    own = {"name": "USDC", "version": "2", "chainId": 84532, "verifyingContract": USDC, **domain}
    signable = encode_typed_data(own, {"TransferWithAuthorization": types}, message)
    return "0x" + Account.sign_message(signable, key).signature.hex().removeprefix("0x")


def paid(asked: dict[str, Any], key: str = KEY, **changes: Any) -> dict[str, str]:
    """The header of a payment; `changes` go into the authorization, before it is signed."""
    fields = authorization(Account.from_key(key).address, **changes)
    return {"PAYMENT-SIGNATURE": encoded(payload(asked, fields, sign(key, fields)))}


def payload(asked: dict[str, Any], fields: dict[str, str], signature: str) -> dict[str, Any]:
    signed = {"authorization": fields, "signature": signature}
    return {"x402Version": 2, "payload": signed, "resource": asked["resource"], "accepted": asked["accepts"][0]}


def buy(client: httpx.Client, headers: dict[str, str], name: str = "shop") -> httpx.Response:
    return client.post("/projects/v1", json={"name": name}, headers=headers)


def projects(client: httpx.Client) -> list[str]:
    return [row["name"] for row in client.get("/projects/v1").json()["projects"]]


def payments(live: Live) -> int:
    with psycopg.connect(live.database_url) as conn:
        row = conn.execute("SELECT count(*) FROM internal.core_payments").fetchone()
    assert row is not None
    return int(row[0])


def rejected(client: httpx.Client, header: str) -> str:
    answer = buy(client, {"PAYMENT-SIGNATURE": header})
    assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_INVALID"), answer.text
    assert decoded(answer.headers["payment-required"])["accepts"]
    assert projects(client) == []
    return str(answer.json()["message"])


# -- what is charged ----------------------------------------------------------------------------------------------------


def test_a_gateway_that_does_not_charge_looks_at_no_payment(client: httpx.Client) -> None:
    answer = buy(client, {"PAYMENT-SIGNATURE": "rubbish"})
    assert answer.status_code == 201
    assert "payment-response" not in answer.headers


def test_a_new_project_has_a_price_on_test_money_to_nobody(charging: httpx.Client) -> None:
    asked = challenge(charging)
    (offer,) = asked["accepts"]
    assert (offer["network"], offer["asset"], offer["payTo"]) == ("eip155:84532", USDC, NOBODY)
    assert (offer["scheme"], offer["amount"], offer["extra"]["settlement"]) == ("exact", str(PRICE), "local")
    assert asked["resource"]["url"] == f"{str(charging.base_url).rstrip('/')}/projects/v1"
    assert projects(charging) == []


def test_a_request_that_would_fail_is_not_charged(charging: httpx.Client) -> None:
    assert charging.post("/projects/v1", json={"name": "x" * 500}).status_code == 400


def test_reading_costs_nothing(charging: httpx.Client) -> None:
    assert charging.get("/projects/v1").status_code == 200
    assert charging.get("/health").status_code == 200


def test_a_payment_buys_a_project_and_the_receipt_says_that_no_chain_was_used(
    charging: httpx.Client, live: Live
) -> None:
    answer = buy(charging, paid(challenge(charging)))
    assert answer.status_code == 201, answer.text
    receipt = decoded(answer.headers["payment-response"])
    assert (receipt["success"], receipt["network"]) == (True, "eip155:84532")
    assert receipt["payer"] == Account.from_key(KEY).address.lower()
    assert receipt["transaction"].startswith("local:")
    assert receipt["extra"]["chain"] is None
    assert "No chain was used" in receipt["extra"]["note"]
    assert answer.headers["x-run402-payment-funds-moved"] == "false"
    assert (projects(charging), payments(live)) == (["shop"], 1)


def test_the_official_client_sdk_pays(charging: httpx.Client) -> None:
    from x402 import x402ClientSync  # to import it takes a second
    from x402.http.utils import (
        decode_payment_required_header,
        decode_payment_response_header,
        encode_payment_signature_header,
    )
    from x402.mechanisms.evm.exact.register import register_exact_evm_client
    from x402.mechanisms.evm.signers import EthAccountSigner

    unpaid = charging.post("/projects/v1", json={"name": "shop"})
    required = decode_payment_required_header(unpaid.headers["payment-required"])
    sdk = x402ClientSync()
    register_exact_evm_client(sdk, EthAccountSigner(Account.from_key(OTHER)))
    header = encode_payment_signature_header(sdk.create_payment_payload(required))
    answer = buy(charging, {"PAYMENT-SIGNATURE": header})
    assert answer.status_code == 201, answer.text
    receipt = decode_payment_response_header(answer.headers["payment-response"])
    assert receipt.success
    assert receipt.extra is not None
    assert receipt.extra["settlement"] == "local"


def signed(client: httpx.Client, path: str, key: str = KEY) -> dict[str, str]:
    url = f"{str(client.base_url).rstrip('/')}{path}"
    return {"SIGN-IN-WITH-X": siwx.header(key, Account.from_key(key).address, domain="127.0.0.1", uri=url)}


def set_tier(client: httpx.Client, tier: str, headers: dict[str, str] | None = None) -> httpx.Response:
    path = f"/tiers/v1/{tier}"
    return client.post(path, json={}, headers={**signed(client, path), **(headers or {})})


def pay_tier(client: httpx.Client, tier: str) -> dict[str, str]:
    asked = decoded(set_tier(client, tier).headers["payment-required"])
    return paid(asked, value=int(asked["accepts"][0]["amount"]))


def test_a_tier_is_bought_renewed_upgraded_and_not_lowered(charging: httpx.Client, live: Live) -> None:
    prices = {name: tier["price"] for name, tier in charging.get("/tiers/v1").json()["tiers"].items()}
    assert prices == {"prototype": "$0.10", "hobby": "$5.00", "team": "$20.00"}
    actions = []
    for tier in ("prototype", "prototype", "hobby"):
        answer = set_tier(charging, tier, pay_tier(charging, tier))
        assert answer.status_code == 200, answer.text
        actions.append((answer.json()["action"], answer.json()["previous_tier"]))
    assert actions == [("subscribe", None), ("renew", "prototype"), ("upgrade", "prototype")]
    status = charging.get("/tiers/v1/status", headers=signed(charging, "/tiers/v1/status")).json()
    assert (status["tier"], status["lease_perpetual"]) == ("hobby", False)
    assert (set_tier(charging, "prototype").json()["code"], payments(live)) == ("TIER_DOWNGRADE", 3)


def test_a_tier_bought_twice_with_one_payment_or_one_key_is_bought_once(charging: httpx.Client, live: Live) -> None:
    header = pay_tier(charging, "prototype")
    first, again = set_tier(charging, "prototype", header), set_tier(charging, "prototype", header)
    assert again.json() == first.json()
    other = set_tier(charging, "hobby", header)
    assert (other.status_code, other.json()["code"]) == (402, "PAYMENT_INVALID")
    key = {"Idempotency-Key": "march"}
    keyed = set_tier(charging, "prototype", pay_tier(charging, "prototype") | key)
    assert set_tier(charging, "prototype", key).json() == keyed.json()
    assert set_tier(charging, "hobby", key).json()["code"] == "IDEMPOTENCY_KEY_CONFLICT"
    assert payments(live) == 2


def test_a_payment_for_a_project_buys_no_tier(charging: httpx.Client, live: Live) -> None:
    header = paid(challenge(charging))
    assert buy(charging, header).status_code == 201
    fields = decoded(header["PAYMENT-SIGNATURE"])
    fields["resource"]["url"] = fields["resource"]["url"].replace("/projects/v1", "/tiers/v1/prototype")
    answer = set_tier(charging, "prototype", {"PAYMENT-SIGNATURE": encoded(fields)})
    assert (answer.status_code, answer.json()["code"]) == (409, "PAYMENT_ALREADY_USED")
    assert payments(live) == 1


def test_a_tier_needs_a_wallet_and_a_name_that_exists(charging: httpx.Client) -> None:
    unsigned = charging.post("/tiers/v1/prototype", json={})
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "AUTHENTICATION_REQUIRED")
    unknown = set_tier(charging, "golden")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "TIER_NOT_FOUND")


# -- once only ----------------------------------------------------------------------------------------------------------


def test_the_same_payment_presented_again_brings_the_same_project(charging: httpx.Client, live: Live) -> None:
    header = paid(challenge(charging))
    first, again = buy(charging, header), buy(charging, header)
    assert again.json()["project_id"] == first.json()["project_id"]
    assert decoded(again.headers["payment-response"]) == decoded(first.headers["payment-response"])
    assert [answer.headers["x-run402-payment-deduplicated"] for answer in (first, again)] == ["false", "true"]
    assert (projects(charging), payments(live)) == (["shop"], 1)


def test_a_payment_does_not_buy_a_second_thing(charging: httpx.Client, live: Live) -> None:
    header = paid(challenge(charging))
    assert buy(charging, header).status_code == 201
    for other in (
        buy(charging, header, name="another"),
        buy(charging, {**header, "Idempotency-Key": "one"}),
        buy(charging, {**header, "Idempotency-Key": "two"}),
    ):
        assert (other.status_code, other.json()["code"]) == (409, "PAYMENT_ALREADY_USED")
    assert (projects(charging), payments(live)) == (["shop"], 1)


def test_the_same_payment_written_differently_is_still_the_same(charging: httpx.Client, live: Live) -> None:
    header = paid(challenge(charging))
    first = buy(charging, header).json()["project_id"]
    fields = decoded(header["PAYMENT-SIGNATURE"])
    signed = fields["payload"]
    signed["authorization"]["from"] = signed["authorization"]["from"].lower()
    signed["authorization"]["nonce"] = signed["authorization"]["nonce"].upper().replace("0X", "0x")
    signed["authorization"]["value"] = "0" + signed["authorization"]["value"]
    signed["signature"] = signed["signature"].upper().replace("0X", "0x")
    answer = buy(charging, {"PAYMENT-SIGNATURE": encoded(fields)})
    assert answer.json()["project_id"] == first
    assert payments(live) == 1


@pytest.mark.parametrize("key", [{"Idempotency-Key": "order"}, {}], ids=["key", "no key"])
def test_concurrent_requests_with_one_payment_make_one_project(
    charging: httpx.Client, live: Live, key: dict[str, str]
) -> None:
    header = paid(challenge(charging)) | key
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: buy(charging, header), range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["project_id"] for answer in answers}) == 1
    assert sorted(answer.headers["x-run402-payment-deduplicated"] for answer in answers) == ["false"] + ["true"] * 5
    assert (projects(charging), payments(live)) == (["shop"], 1)


def test_concurrent_requests_for_different_things_with_one_payment_deliver_one(
    charging: httpx.Client, live: Live
) -> None:
    header = paid(challenge(charging))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: buy(charging, header, name=f"p{number}"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert (len(projects(charging)), payments(live)) == (1, 1)


def test_a_repeat_with_an_idempotency_key_is_not_charged_again(charging: httpx.Client, live: Live) -> None:
    key = {"Idempotency-Key": "provision:shop"}
    asked = challenge(charging, headers=key)
    first = buy(charging, paid(asked) | key)
    unpaid = buy(charging, key)
    assert (unpaid.status_code, unpaid.json()["project_id"]) == (201, first.json()["project_id"])
    other = buy(charging, paid(asked, OTHER) | key)
    assert other.json()["project_id"] == first.json()["project_id"]
    assert "payment-response" not in other.headers
    assert payments(live) == 1


def test_a_payment_is_not_taken_when_what_it_is_for_fails(
    charging: httpx.Client, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    from run402_cli.core.projects import routes as project_routes

    header = paid(challenge(charging))

    async def fail(*_args: Any) -> Any:
        raise RuntimeError("no schema today")

    with monkeypatch.context() as broken:
        broken.setattr(project_routes, "insert_project", fail)
        assert buy(charging, header).status_code == 500
    assert payments(live) == 0
    assert buy(charging, header).status_code == 201
    assert payments(live) == 1


def test_a_payment_whose_project_is_gone_does_not_buy_it_again(charging: httpx.Client) -> None:
    header = paid(challenge(charging))
    made = buy(charging, header).json()
    gone = charging.delete(f"/projects/v1/{made['project_id']}", headers={"apikey": made["service_key"]})
    assert gone.status_code == 200
    assert buy(charging, header).json()["code"] == "PAYMENT_ALREADY_USED"


def test_the_sign_in_of_the_unpaid_request_is_good_for_the_paid_one_and_no_more(charging: httpx.Client) -> None:
    sign_in = signed(charging, "/projects/v1")
    header = paid(challenge(charging, headers=sign_in)) | sign_in
    assert buy(charging, header).status_code == 201
    assert buy(charging, header).json()["code"] == "SIWX_REPLAYED"


# -- what is no payment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"value": PRICE - 1}, "price"),
        ({"value": PRICE + 1}, "price"),
        ({"to": "0x" + "55" * 20}, "pays"),
        ({"validBefore": 1_700_000_000}, "expired"),
        ({"validAfter": 4_000_000_000, "validBefore": 4_000_000_060}, "not valid yet"),
        ({"validBefore": 4_000_000_000}, "longer"),
    ],
    ids=str,
)
def test_an_authorization_for_something_else_is_refused(
    charging: httpx.Client, changes: dict[str, Any], why: str
) -> None:
    assert why in rejected(charging, paid(challenge(charging), **changes)["PAYMENT-SIGNATURE"])


@pytest.mark.parametrize(
    "domain",
    [
        {"name": "USD Coin"},
        {"version": "1"},
        {"chainId": 8453},
        {"verifyingContract": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"},
    ],
    ids=str,
)
def test_a_signature_for_another_token_or_chain_is_refused(charging: httpx.Client, domain: dict[str, Any]) -> None:
    asked = challenge(charging)
    fields = authorization(Account.from_key(KEY).address)
    assert "signed" in rejected(charging, encoded(payload(asked, fields, sign(KEY, fields, **domain))))


def test_a_signature_of_another_key_is_refused(charging: httpx.Client) -> None:
    asked = challenge(charging)
    fields = authorization(Account.from_key(KEY).address)
    assert "signed" in rejected(charging, encoded(payload(asked, fields, sign(OTHER, fields))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scheme", "upto"),
        ("network", "eip155:8453"),
        ("asset", "0x" + "00" * 20),
        ("amount", "1"),
        ("payTo", "0x" + "55" * 20),
        ("amount", None),
    ],
)
def test_other_terms_than_those_offered_are_refused(charging: httpx.Client, name: str, value: Any) -> None:
    fields = decoded(paid(challenge(charging))["PAYMENT-SIGNATURE"])
    fields["accepted"][name] = value
    assert name in rejected(charging, encoded(fields))


def test_a_payment_for_another_address_is_refused(charging: httpx.Client) -> None:
    asked = challenge(charging)
    asked["resource"]["url"] = "https://api.run402.com/projects/v1"
    assert "resource" in rejected(charging, paid(asked)["PAYMENT-SIGNATURE"])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "e30=",
        "=====",
        encoded([]),
        encoded({"x402Version": 2}),
        encoded({"x402Version": 1}),
        base64.b64encode(b"[" * 20_000).decode(),
        "A" * 40_000,
        base64.b64encode(b"\xff\xfe{}").decode(),
    ],
    ids=lambda header: header[:10] or "empty",
)
def test_rubbish_is_refused(charging: httpx.Client, header: str) -> None:
    rejected(charging, header)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "0x12"),
        ("nonce", "0x12"),
        ("value", 100_000),
        ("value", "1e5"),
        ("value", "9" * 100),
        ("validBefore", "9" * 78),
        ("validAfter", "-1"),
        ("validBefore", None),
        ("from", "\ud800" * 42),
    ],
    ids=str,
)
def test_damaged_authorizations_are_refused(charging: httpx.Client, name: str, value: Any) -> None:
    fields = decoded(paid(challenge(charging))["PAYMENT-SIGNATURE"])
    fields["payload"]["authorization"][name] = value
    rejected(charging, encoded(fields))


@pytest.mark.parametrize("signature", ["0x", "0x" + "00" * 65, None, 5, "0x" + "zz" * 65], ids=str)
def test_damaged_signatures_are_refused(charging: httpx.Client, signature: Any) -> None:
    fields = decoded(paid(challenge(charging))["PAYMENT-SIGNATURE"])
    fields["payload"]["signature"] = signature
    rejected(charging, encoded(fields))
