"""`run402 pay`: strangers get nothing but what was asked for, at most once, and only against a receipt."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from payment_kit import MAINNET, SEPOLIA, TRANSACTION, World, challenge, encode, offer, receipt

from run402_cli.client import Client
from run402_cli.client.payments.purchase import trusted_seller
from run402_cli.errors import ApiError, NetworkError, PaymentError
from run402_cli.services.pay import pay
from run402_cli.state.attempts import Attempt, Journal
from run402_cli.state.limits import Limits, save_limits
from run402_cli.state.profile import current

URL = "https://seller.example/report?day=1"
TENANT = "https://shop.run402.com/report"


@pytest.fixture
def world(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("run402_cli.client.payments.chain._BACKOFF_S", 0)
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY}))
    (config_dir / "allowance.json").chmod(0o600)
    return World(URL)


def buy(world: World, url: str = URL, **options: Any) -> dict[str, Any]:
    with Client(transport=httpx.MockTransport(world.handle)) as client:
        return pay(client, url, **options)


def refused(world: World, url: str = URL, **options: Any) -> PaymentError:
    with pytest.raises(PaymentError) as caught:
        buy(world, url, **options)
    return caught.value


def records() -> list[Attempt]:
    return Journal(current().payer).attempts()[0]


def test_a_priced_url_is_paid_and_the_evidence_is_reported(world: World) -> None:
    result = buy(world, idempotency_key="k")
    assert (result["outcome"], result["body"]) == ("paid", {"data": 1})
    payment = result["payment"]
    assert (payment["amount_usd_micros"], payment["network"]) == (30_000, SEPOLIA)
    assert (payment["transaction"], payment["funds_moved"]) == (TRANSACTION, True)
    assert records()[0].state == "completed"


def test_no_credential_of_the_user_reaches_the_seller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "tok")
    buy(world)
    for request in world.seen:
        assert not {"authorization", "sign-in-with-x", "apikey", "run402-client"} & set(request.headers)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_unpriced_answer_is_passed_on(world: World, status: int) -> None:
    world.unpaid = lambda _: httpx.Response(status, text="plain")
    result = buy(world)
    assert (result["http_status"], result["body"], result["payment"]) == (status, "plain", None)
    assert not (current().dir / "payment-attempts").exists()


def test_a_402_without_a_challenge_is_passed_on_as_an_error(world: World) -> None:
    world.unpaid = lambda _: httpx.Response(402, json={"code": "QUOTA"})
    with pytest.raises(ApiError) as caught:
        buy(world)
    assert caught.value.http == 402


def test_a_version_1_seller_is_paid(world: World) -> None:
    entry = offer(network="base-sepolia", maxAmountRequired="10000", resource=URL)
    world.unpaid = lambda _: httpx.Response(402, json={"x402Version": 1, "accepts": [entry]})
    world.paid = lambda _: httpx.Response(
        200, headers={"X-PAYMENT-RESPONSE": receipt(network="base-sepolia")}, json={"ok": True}
    )
    assert buy(world)["payment"]["network"] == SEPOLIA


def test_the_ceiling_holds_and_says_what_would_do(world: World) -> None:
    error = refused(world, max_usd_micros=29_999)
    assert error.code == "PAYMENT_EXCEEDS_MAX"
    assert (error.details["challenged_amount_usd_micros"], error.details["max_usd_micros"]) == (30_000, 29_999)
    assert "--max-usd 0.03" in error.envelope()["hint"]
    assert records()[0].fields["last_error_code"] == "PAYMENT_EXCEEDS_MAX"


def test_the_users_own_limits_hold_too(world: World) -> None:
    save_limits(current().payer, Limits(per_payment=1))
    assert refused(world).code == "PAYMENT_LIMIT_EXCEEDED"
    assert not world.payments


FOREIGN = {
    "another path": "https://seller.example/other?day=1",
    "another host": "https://evil.example/report?day=1",
    "a look-alike host": "https://sеller.example/report?day=1",  # Cyrillic e
    "its punycode": "https://xn--sller-3ve.example/report?day=1",
    "another query": "https://seller.example/report?day=2",
    "another path by its case": "https://seller.example/Report?day=1",
    "another path by an escape": "https://seller.example/%72eport?day=1",
    "another kind of address": "ftp://seller.example/report?day=1",
    "a path alone": "/report?day=1",
    "a user name": "https://seller.example@evil.example/report?day=1",
    "no URL": "not a url",
}


@pytest.mark.parametrize("why", FOREIGN)
def test_a_challenge_for_another_address_is_refused(world: World, why: str) -> None:
    world.unpaid = lambda _: httpx.Response(402, headers={"PAYMENT-REQUIRED": encode(challenge(FOREIGN[why]))})
    error = refused(world)
    assert error.code == "PAYMENT_SETTLEMENT_FAILED"
    assert error.details["challenge_url"] == FOREIGN[why]
    assert not world.payments


@pytest.mark.parametrize(
    "same",
    [
        "HTTPS://Seller.Example:443/report?day=1",
        "http://seller.example:8080/report?day=1",
        "https://seller.example/report",
    ],
)
def test_scheme_port_and_a_missing_query_do_not_matter(world: World, same: str) -> None:
    world.unpaid = lambda _: httpx.Response(402, headers={"PAYMENT-REQUIRED": encode(challenge(same))})
    assert buy(world)["outcome"] == "paid"


@pytest.mark.parametrize(
    ("given", "called"),
    [
        ("https://s.example", "https://s.example/"),
        ("https://s.example?a=%2F#x", "https://s.example/?a=%2F"),
        ("https://s.example/a%2Fb", "https://s.example/a%2Fb"),
    ],
)
def test_the_url_is_called_as_it_was_given(world: World, given: str, called: str) -> None:
    world.url = called
    assert buy(world, given)["payment"]["resource_url"] == called
    assert str(world.seen[0].url) == called


def test_a_redirect_to_a_host_that_asks_for_money_is_refused(world: World) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "seller.example":
            return httpx.Response(302, headers={"location": "https://evil.example/"})
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": encode(challenge(URL))})

    world.unpaid = answer
    assert refused(world).details["funds_moved"] is False
    assert not world.payments


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"network": "eip155:1"}, "PAYMENT_NETWORK_UNSUPPORTED", "challenge_networks"),
        ({"scheme": "upto"}, "PAYMENT_NETWORK_UNSUPPORTED", "wallet_networks"),
        ({"asset": "0x" + "12" * 20}, "PAYMENT_NETWORK_UNSUPPORTED", "challenge_assets"),
        ({"amount": "1e3"}, "PAYMENT_SETTLEMENT_FAILED", "challenge_amounts"),
        ({"maxTimeoutSeconds": -1}, "PAYMENT_SETTLEMENT_FAILED", "upstream_code"),
    ],
)
def test_an_offer_that_cannot_be_paid_is_refused(world: World, changes: Any, code: str, detail: str) -> None:
    world.offers = [offer(**changes)]
    error = refused(world)
    assert error.code == code
    assert error.details["funds_moved"] is False
    assert error.details[detail]
    assert not world.payments


def test_without_a_wallet_or_on_the_mpp_rail_the_networks_are_named(world: World) -> None:
    path = current().dir / "allowance.json"
    path.write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY, "rail": "mpp"}))
    error = refused(world)
    assert (error.code, error.details["configured_rail"]) == ("PAYMENT_NETWORK_UNSUPPORTED", "mpp")
    path.unlink()
    del current().__dict__["allowance"]
    error = refused(world)
    assert (error.code, error.details["challenge_networks"]) == ("PAYMENT_WALLET_UNFUNDED", [SEPOLIA])


def test_an_empty_wallet_and_a_silent_chain_are_told_apart(world: World) -> None:
    world.balances = {SEPOLIA: 0}
    assert refused(world).code == "PAYMENT_WALLET_UNFUNDED"
    world.balances = {SEPOLIA: None}
    error = refused(world)
    assert (error.code, error.details["upstream_code"]) == ("PAYMENT_SETTLEMENT_FAILED", "X402_RPC_TIMEOUT")
    assert error.retryable


def test_require_receipt_refuses_a_seller_without_signed_offers(world: World) -> None:
    error = refused(world, require_receipt=True)
    assert error.code == "MERCHANT_RECEIPT_REQUIRED"
    assert error.details == {"offered_requirements": 1, "valid_wallet_rooted_offers": 0}
    assert not world.payments


# -- after the payment was sent ---------------------------------------------------------------------------------------

BAD_RECEIPTS = {
    "none": None,
    "damaged": "%%%",
    "no transaction": receipt(transaction=""),
    "another network": receipt(network=MAINNET),
}


@pytest.mark.parametrize("why", BAD_RECEIPTS)
def test_an_answer_without_a_valid_receipt_is_no_success(world: World, why: str) -> None:
    value = BAD_RECEIPTS[why]
    world.paid = lambda _: httpx.Response(200, headers={"PAYMENT-RESPONSE": value} if value else {}, json={})
    error = refused(world)
    assert (error.code, error.details["funds_moved"]) == ("PAYMENT_SETTLEMENT_FAILED", "unknown")
    assert records()[0].state == "ambiguous"


def test_a_receipt_that_denies_the_settlement_is_not_believed(world: World) -> None:
    world.paid = lambda _: httpx.Response(200, headers={"PAYMENT-RESPONSE": receipt(success=False)}, json={})
    assert refused(world).details["funds_moved"] == "unknown"
    assert records()[0].state == "ambiguous"
    world.paid = None
    buy(world)
    assert len(set(world.nonces)) == 1, "the denied authorization could still have been used"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": "payment_insufficient_funds"}, "PAYMENT_WALLET_UNFUNDED"),
        ({"code": "TENANT_X402_SETTLEMENT_FAILED"}, "PAYMENT_SETTLEMENT_FAILED"),
        ({"code": "PAYMENT_REQUIRED"}, "PAYMENT_SETTLEMENT_FAILED"),
        (
            {"code": "TENANT_X402_PAYMENT_INVALID", "details": {"x402_error": "bad signature"}},
            "PAYMENT_SETTLEMENT_FAILED",
        ),
        (
            {"code": "TENANT_X402_PAYMENT_INVALID", "details": {"x402_error": "nonce_already_used"}},
            "PAYMENT_SETTLEMENT_FAILED",
        ),
        ({"code": "WHATEVER"}, "PAYMENT_SETTLEMENT_FAILED"),
        ({"code": "PAYMENT_INTENT_PENDING"}, "PAYMENT_SETTLEMENT_FAILED"),
    ],
)
def test_a_refusal_after_the_payment_is_classified(world: World, body: Any, code: str) -> None:
    world.paid = lambda _: httpx.Response(409, json=body)
    error = refused(world)
    assert (error.code, error.details["funds_moved"], records()[0].state) == (code, "unknown", "ambiguous")
    assert len(world.payments) == 1


def test_a_payment_presented_again_that_was_used_is_settled(world: World) -> None:
    def dropped(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("peer closed", request=request)

    world.paid = dropped
    assert refused(world).details["funds_moved"] == "unknown"
    used = {"code": "TENANT_X402_PAYMENT_INVALID", "details": {"x402_error": "authorization is used or canceled"}}
    world.paid = lambda _: httpx.Response(402, json=used)
    result = buy(world)
    assert (result["payment"], result["replay"], result["outcome"]) == (None, True, "not_paid")
    assert records()[0].state == "completed"
    assert len(set(world.nonces)) == 1


def test_a_pending_intent_of_a_run402_seller_is_passed_on_and_presented_again(world: World) -> None:
    world.url = TENANT
    headers = {
        "x-run402-payment-intent-state": "pending",
        "x-run402-payment-id": "pay_1",
        "retry-after": "7",
    }
    body = {"code": "PAYMENT_INTENT_PENDING", "message": "wait", "retryable": True, "details": {"a": 1}}
    world.paid = lambda _: httpx.Response(409, headers=headers, json=body)
    error = refused(world, TENANT, idempotency_key="k")
    envelope = error.envelope()
    assert (envelope["code"], envelope["retryable"], envelope["payment_id"]) == (
        "PAYMENT_INTENT_PENDING",
        True,
        "pay_1",
    )
    fields = records()[0].fields
    assert (fields["state"], fields["intent_state"], fields["retry_after_seconds"]) == ("intent_pending", "pending", 7)
    world.paid = None
    assert buy(world, TENANT, idempotency_key="k")["outcome"] == "paid"
    assert len(set(world.nonces)) == 1


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_of_the_paid_request_is_not_followed(world: World, status: int) -> None:
    world.paid = lambda _: httpx.Response(status, headers={"location": "https://evil.example/"})
    assert refused(world).details["funds_moved"] == "unknown"
    assert {request.url.host for request in world.seen if "payment-signature" in request.headers} == {"seller.example"}


def test_a_lost_first_request_is_a_network_error(world: World) -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    world.unpaid = lost
    with pytest.raises(NetworkError):
        buy(world)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://shop.run402.com/x", True),
        ("https://shop.sites.run402.app/x", True),
        ("https://api.run402.com/x", False),
        ("https://run402.com/x", False),
        ("http://shop.run402.com/x", False),
        ("https://shop.run402.com:8443/x", False),
        ("https://user@shop.run402.com/x", False),
        ("https://shop.run402.com.evil.example/x", False),
        ("https://shop.rυn402.com/x", False),
        ("https://a.b.run402.com/x", False),
    ],
)
def test_only_tenant_sites_of_run402_are_believed(url: str, trusted: bool) -> None:
    assert trusted_seller(httpx.URL(url)) is trusted


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, gzip"])
def test_a_paid_answer_beyond_its_bounds_says_what_was_paid(world: World, coding: str) -> None:
    packed = gzip.compress(b" " * (64 << 20), 1)
    stream = httpx.ByteStream(packed)
    world.paid = lambda _: httpx.Response(200, headers={"content-encoding": coding}, stream=stream)
    error = refused(world, idempotency_key="k")
    envelope = error.envelope()
    assert envelope["safe_to_retry"] is False
    assert envelope["details"]["amount_usd_micros"] == 30_000
    assert records()[0].unresolved
