"""Paying a gateway's 402: what is signed, what is refused, what the journal says, and that money never moves twice."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from payment_kit import MAINNET, SEPOLIA, TRANSACTION, World, challenge, encode, offer, receipt

from run402_cli import global_options
from run402_cli.client import Client
from run402_cli.client.payments.chain import Fate
from run402_cli.errors import ApiError, CommandError, FlagError, NetworkError, PaymentError
from run402_cli.services import image, prices, projects
from run402_cli.services import tier as tiers
from run402_cli.state.attempts import Attempt, Journal
from run402_cli.state.limits import Limits, limits_path, save_limits
from run402_cli.state.profile import current

BASE = "http://gateway.test"
URL = f"{BASE}/tiers/v1/prototype"


@pytest.fixture
def world(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    monkeypatch.setattr("run402_cli.client.payments.chain._BACKOFF_S", 0)
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY}))
    (config_dir / "allowance.json").chmod(0o600)
    return World(URL)


def client(world: World) -> Client:
    return Client(transport=httpx.MockTransport(world.handle))


def buy(world: World, key: str | None = None) -> Any:
    with client(world) as connected:
        return tiers.set_tier(connected, "prototype", idempotency_key=key)


def refused(world: World, key: str | None = None) -> PaymentError:
    with pytest.raises(PaymentError) as caught:
        buy(world, key)
    return caught.value


def records() -> list[Attempt]:
    return Journal(current().payer).attempts()[0]


def edit(attempt: Attempt, **fields: Any) -> None:
    attempt.path.write_text(json.dumps({**attempt.fields, **fields}))


# -- the ordinary case ------------------------------------------------------------------------------------------------


def test_a_402_is_paid_once_with_the_same_request_and_sign_in(world: World) -> None:
    assert buy(world, "k1") == {"data": 1}
    first, second = (request for request in world.seen if request.url.host == "gateway.test")
    assert "payment-signature" not in first.headers
    assert "x-run402-payment-attempt-id" not in first.headers
    for name in ("sign-in-with-x", "idempotency-key", "content-type", "run402-client"):
        assert second.headers[name] == first.headers[name]
    assert second.content == first.content == b"{}"
    assert second.headers["x-run402-payment-attempt-id"] == records()[0].id
    assert world.payments[0]["accepted"] == offer()
    assert list(world.payments[0]) == ["x402Version", "payload", "resource", "accepted"]


def test_the_journal_tells_everything_but_secrets(world: World) -> None:
    buy(world, "key-17")
    (record,) = records()
    fields = record.fields
    assert (fields["state"], fields["mutation_state"], fields["response_status"]) == ("completed", "completed", 200)
    assert fields["amount_usd_micros"] == 30_000
    assert (fields["network"], fields["transaction"], fields["host"]) == (SEPOLIA, TRANSACTION, "gateway.test")
    assert fields["purpose"] == "setting the tier"
    text = record.path.read_text()
    for secret in ("key-17", PRIVATE_KEY[2:], world.payments[0]["payload"]["signature"][2:], "prototype"):
        assert secret not in text
    assert sorted(path.name for path in record.path.parent.iterdir()) == [record.path.name]
    if os.name == "posix":
        assert stat.S_IMODE(record.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(record.path.parent.stat().st_mode) == 0o700


def test_a_version_1_challenge_is_paid_too(world: World) -> None:
    entry = offer(network="base-sepolia", maxAmountRequired="10000", resource=URL)
    del entry["amount"]
    world.unpaid = lambda _: httpx.Response(402, json={"x402Version": 1, "error": "x", "accepts": [entry]})
    assert buy(world) == {"data": 1}
    (payload,) = world.payments
    assert (payload["x402Version"], payload["network"]) == (1, "base-sepolia")
    assert int(payload["payload"]["authorization"]["validAfter"]) <= time.time() - 600


def test_a_mainnet_tier_of_20_usd_is_paid_towards_the_gateway(world: World) -> None:
    world.offers = [offer(network=MAINNET, amount="20000000", extra={"name": "USD Coin", "version": "2"})]
    world.balances = {MAINNET: 20_000_000}
    global_options.take("--max-usd", "20")
    assert buy(world) == {"data": 1}


def test_nothing_of_payment_is_imported_or_written_without_a_challenge(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [
        name
        for name in sys.modules
        if name in ("run402_cli.client.payments.gateway", "run402_cli.client.payments.x402")
    ]:
        monkeypatch.delitem(sys.modules, name)
    world.unpaid = lambda _: httpx.Response(402, json={"code": "QUOTA", "message": "renew"})
    with pytest.raises(ApiError) as caught:
        buy(world)
    assert (caught.value.http, caught.value.code) == (402, "QUOTA")
    assert len(world.seen) == 1
    assert not (current().dir / "payment-attempts").exists()
    assert not {"run402_cli.client.payments.gateway", "run402_cli.client.payments.x402"} & set(sys.modules)


def test_one_request_and_no_chain_read_when_nothing_is_priced(world: World) -> None:
    world.unpaid = lambda _: httpx.Response(200, json={})
    buy(world)
    assert len(world.seen) == 1


@pytest.mark.parametrize("why", ["no wallet", "delegate", "client without payments"])
def test_without_a_payer_the_402_comes_back_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why == "no wallet":
        (current().dir / "allowance.json").unlink()
    elif why == "delegate":
        monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "tok")
    else:
        monkeypatch.setattr(Client, "pays", False)
    with pytest.raises(ApiError) as caught:
        buy(world)
    assert caught.value.http == 402
    assert not world.payments
    assert not (current().dir / "payment-attempts").exists()


def test_the_mpp_rail_says_that_it_cannot_pay(world: World) -> None:
    wallet = {"address": ADDRESS, "privateKey": PRIVATE_KEY, "rail": "mpp"}
    (current().dir / "allowance.json").write_text(json.dumps(wallet))
    error = refused(world)
    assert error.code == "PAYMENT_NETWORK_UNSUPPORTED"
    assert "init x402 --switch-rail" in json.dumps(error.envelope())
    assert len(world.seen) == 1


def test_a_lost_first_request_is_a_network_error_and_leaves_no_record(world: World) -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    world.unpaid = lost
    with pytest.raises(NetworkError):
        buy(world)
    assert not (current().dir / "payment-attempts").exists()


# -- choosing ---------------------------------------------------------------------------------------------------------


def test_the_first_offer_that_the_balance_covers_is_taken(world: World) -> None:
    mainnet = offer(network=MAINNET, extra={"name": "USD Coin", "version": "2"})
    world.offers = [mainnet, offer()]
    buy(world)
    assert world.payments[0]["accepted"]["network"] == SEPOLIA
    world.balances[MAINNET] = 30_000
    buy(world)
    assert world.payments[1]["accepted"]["network"] == MAINNET


def test_a_direct_authorization_is_preferred_and_an_unknown_flow_never_taken(world: World) -> None:
    token = {"name": "USDC", "version": "2"}
    world.offers = [
        offer(extra={**token, "paymentFlow": "streamed"}),
        offer(extra={**token, "paymentFlow": "escrow"}),
        offer(extra={**token, "paymentFlow": "authorization"}),
    ]
    buy(world)
    assert world.payments[0]["accepted"]["extra"]["paymentFlow"] == "authorization"


def test_too_little_money_is_said_with_numbers(world: World) -> None:
    world.balances = {SEPOLIA: 29_999}
    error = refused(world)
    assert error.code == "X402_INSUFFICIENT_FUNDS"
    assert error.details["balances"] == {SEPOLIA: "29999"}
    assert error.details["requirements"] == [{"network": SEPOLIA, "amount": "30000"}]
    assert error.envelope()["next_actions"][0]["type"] == "fund_wallet"
    assert records()[0].state == "failed"


def test_a_balance_that_cannot_be_read_is_unknown_and_not_zero(world: World) -> None:
    world.balances = {SEPOLIA: None}
    error = refused(world)
    assert error.code == "X402_RPC_TIMEOUT"
    assert error.retryable
    assert error.details["providers_attempted"] == 3
    assert len(error.details["attempts"]) == len(world.rpc) == 6
    assert not world.payments


BAD_OFFERS = {
    "unknown scheme": offer(scheme="upto"),
    "wrong chain": offer(network="eip155:1"),
    "wrong asset": offer(asset="0x" + "12" * 20),
    "expired": offer(maxTimeoutSeconds=0),
    "no time limit": {key: value for key, value in offer().items() if key != "maxTimeoutSeconds"},
    "valid for ten years": offer(maxTimeoutSeconds=315_360_000),
    "fractional amount": offer(amount="0.03"),
    "negative amount": offer(amount="-30000"),
    "amount in other digits": offer(amount="٣٠٠٠٠"),
    "gigantic amount": offer(amount="9" * 40),
    "no address to pay to": offer(payTo="0x1234"),
    "no token name": offer(extra={}),
    "a token name that is no text": offer(extra={"name": "USD\ud800", "version": "2"}),
    "permit2": offer(extra={"name": "USDC", "version": "2", "assetTransferMethod": "permit2"}),
    "above the built-in limit": offer(amount="99000000"),
}


@pytest.mark.parametrize("why", BAD_OFFERS)
def test_an_offer_that_must_not_be_signed_is_not(world: World, why: str) -> None:
    world.offers = [BAD_OFFERS[why]]
    world.balances = {SEPOLIA: 10**15}
    error = refused(world)
    assert error.code == "X402_PAYMENT_SIGNING_FAILED"
    assert error.details["reason"]
    assert not world.payments
    (record,) = records()
    assert (record.state, record.mutation_state) == ("failed", "not_started")
    assert record.fields["last_error_code"] == error.code


@pytest.mark.parametrize(
    "header",
    [
        "%%%",
        encode([1]),
        encode({"x402Version": "2"}),
        encode({"x402Version": 3}),
        encode({**challenge(URL), "accepts": [1]}),
    ],
)
def test_a_damaged_challenge_is_refused(world: World, header: str) -> None:
    world.unpaid = lambda _: httpx.Response(402, headers={"PAYMENT-REQUIRED": header}, json={})
    assert refused(world).code == "X402_PAYMENT_SIGNING_FAILED"
    assert not world.payments


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_402_body_is_not_swallowed(world: World, packed: bool) -> None:
    pulled = 0

    def flood() -> Any:
        nonlocal pulled
        block = gzip.compress(b" " * 8_000_000) if packed else b" " * 100_000
        for _ in range(10_000):
            pulled += 1
            yield block

    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": "application/json", **({"content-encoding": "gzip"} if packed else {})}
        return httpx.Response(402, headers=headers, content=flood())

    world.unpaid = answer
    with pytest.raises(ApiError) as caught:
        buy(world)
    assert caught.value.http == 402
    assert pulled < 20


def test_a_402_after_a_redirect_to_another_host_is_not_paid(world: World) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "gateway.test":
            return httpx.Response(302, headers={"location": "http://evil.test/tiers"})
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": encode(challenge(URL))})

    world.unpaid = answer
    error = refused(world)
    assert error.code == "X402_PAYMENT_SIGNING_FAILED"
    assert "evil.test" in error.message
    assert not world.payments


@pytest.mark.parametrize("price", ["100001", "49000000"])
def test_no_more_than_the_published_price_is_paid(world: World, price: str) -> None:
    world.unpaid = lambda _: httpx.Response(
        402, headers={"PAYMENT-REQUIRED": encode(challenge(URL, offer(amount=price)))}
    )
    error = refused(world)
    assert (error.code, error.details["max_usd_micros"]) == ("PAYMENT_EXCEEDS_MAX", 100_000)
    assert not world.payments
    global_options.take("--max-usd", "0.10")
    refused(world)
    world.balances = {SEPOLIA: 49_000_000}
    global_options.take("--max-usd", "49")
    buy(world)
    assert len(world.payments) == 1


def test_what_is_presented_again_must_be_within_the_ceiling_of_now(world: World) -> None:
    world.paid = lambda _: httpx.Response(500, json={})
    assert refused(world, "k").code == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    global_options.take("--max-usd", "0.02")
    error = refused(world, "k")
    assert (error.code, error.details["funds_moved"]) == ("PAYMENT_EXCEEDS_MAX", "unknown")
    assert error.details["payment_attempt_id"] == records()[0].id
    assert error.envelope()["mutation_state"] == "ambiguous"
    assert (len(world.payments), records()[0].state) == (1, "ambiguous")
    world.paid = None
    global_options.take("--max-usd", "0.03")
    buy(world, "k")
    global_options.take("--max-usd", "0.02")
    buy(world, "k")  # it is paid: asking for its answer costs nothing
    assert len(world.payments) == 3
    assert len(set(world.nonces)) == 1


@pytest.mark.parametrize("call", ["image", "project"])
def test_each_published_price_holds(world: World, call: str) -> None:
    world.unpaid = lambda request: httpx.Response(
        402, headers={"PAYMENT-REQUIRED": encode(challenge(str(request.url), offer(amount="20000000")))}
    )
    with client(world) as connected, pytest.raises(PaymentError) as caught:
        image.generate(connected, "a cat") if call == "image" else projects.provision(connected, tier="hobby")
    assert caught.value.details["max_usd_micros"] == {"image": 30_000, "project": 5_000_000}[call]
    assert not world.payments


def test_the_local_gateway_asks_for_the_published_prices() -> None:
    from run402_cli.core.callers.tiers import TIERS

    assert {name: price for name, (price, _) in TIERS.items()} == prices.TIERS


@pytest.mark.parametrize("text", ["", "x", "-1", "1.", "0.0000001", "1e3", "٣", "1.٣", ".5"])
def test_a_ceiling_that_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(FlagError):
        global_options.take("--max-usd", text)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_price_above_the_users_limit_is_refused_and_names_the_command(world: World) -> None:
    save_limits(current().payer, Limits(per_payment=20_000))
    error = refused(world)
    assert error.code == "PAYMENT_LIMIT_EXCEEDED"
    assert error.envelope()["category"] == "payment_policy"
    assert error.envelope()["next_actions"][0]["command"] == "run402 allowance limits set --per-payment-usd 0.03"
    assert not world.payments
    assert not world.rpc


def test_a_cheaper_offer_within_the_limit_is_taken(world: World) -> None:
    save_limits(current().payer, Limits(per_payment=20_000))
    world.offers = [offer(), offer(amount="20000")]
    buy(world)
    assert world.payments[0]["accepted"]["amount"] == "20000"


def test_the_limit_per_day_counts_what_was_spent_and_what_may_have_been(world: World) -> None:
    save_limits(current().payer, Limits(per_day=65_000))
    buy(world)
    buy(world)
    error = refused(world)
    assert error.code == "PAYMENT_LIMIT_EXCEEDED"
    assert error.details["spent_last_day_usd_micros"] == 60_000
    assert "--per-day-usd 0.09" in error.envelope()["hint"]
    first = records()[0]
    edit(first, provider_started_at="2020-01-01T00:00:00.000Z")
    buy(world)
    assert len(world.payments) == 3


def test_damaged_limits_or_a_damaged_record_stop_every_payment(world: World) -> None:
    limits_path(current().payer).parent.mkdir(parents=True, exist_ok=True)
    limits_path(current().payer).write_text("{}x")
    with pytest.raises(CommandError) as caught:
        buy(world)
    assert caught.value.code == "BAD_ENV"
    assert "payment-limits.json" in caught.value.message
    limits_path(current().payer).unlink()
    save_limits(current().payer, Limits(per_day=10**9))
    record = current().dir / "payment-attempts" / ("pat_" + "0" * 32 + ".json")
    record.parent.mkdir(exist_ok=True)
    record.write_text("{")
    assert refused(world).code == "X402_ATTEMPT_JOURNAL_FAILED"
    assert not world.payments


@pytest.mark.parametrize("amount", [-49_000_000, "1", True, 1.5, None, []])
def test_a_record_with_an_amount_that_is_none_stops_every_payment(world: World, amount: object) -> None:
    buy(world)
    path = records()[0].path
    path.write_text(json.dumps({**json.loads(path.read_text()), "amount_usd_micros": amount}))
    assert refused(world).code == "X402_ATTEMPT_JOURNAL_FAILED"
    assert len(world.payments) == 1


# -- faults -----------------------------------------------------------------------------------------------------------


def test_no_record_no_payment(world: World) -> None:
    (current().dir / "payment-attempts").write_text("in the way")
    assert refused(world).code == "X402_ATTEMPT_JOURNAL_FAILED"
    assert not world.payments


def dropped(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("peer closed", request=request)


def test_a_dropped_connection_is_ambiguous_and_the_same_payment_is_presented_again(world: World) -> None:
    world.paid = dropped
    error = refused(world)
    assert error.code == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    assert (error.envelope()["safe_to_retry"], error.envelope()["mutation_state"]) == (False, "ambiguous")
    assert [action["type"] for action in error.envelope()["next_actions"]] == ["reconcile_payment", "poll"]
    assert records()[0].state == "ambiguous"
    world.paid = None
    assert buy(world) == {"data": 1}
    assert len(world.nonces) == 2
    assert len(set(world.nonces)) == 1
    assert world.payments[0] == world.payments[1]
    assert [record.state for record in records()] == ["completed"]


def test_a_connection_that_breaks_inside_the_paid_answer_is_ambiguous(world: World) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        def body() -> Any:
            yield b'{"da'
            raise httpx.ReadError("peer closed", request=request)

        return httpx.Response(200, headers={"PAYMENT-RESPONSE": receipt()}, content=body())

    world.paid = broken
    assert refused(world).code == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    assert records()[0].state == "ambiguous"


@pytest.mark.parametrize("state", ["submitting", "response_received"])
def test_after_a_crash_around_the_sending_the_same_payment_is_presented(world: World, state: str) -> None:
    buy(world)
    edit(records()[0], state=state, mutation_state="in_progress")
    buy(world)
    assert len(set(world.nonces)) == 1


def test_a_crash_before_the_sending_leaves_nothing_in_the_way(world: World) -> None:
    buy(world)
    edit(records()[0], state="intent", mutation_state="not_started")
    buy(world)
    assert len(set(world.nonces)) == 2


def test_an_expired_unresolved_payment_is_resolved_by_the_chain(world: World) -> None:
    world.paid = dropped
    refused(world)
    world.paid = None
    edit(records()[0], valid_before=int(time.time()) - 3600)
    world.used = True
    error = refused(world)
    assert error.code == "PAYMENT_ALREADY_MADE"
    assert error.details["payment_attempt_id"] == records()[0].id
    assert (records()[0].state, records()[0].fields["resolved_by"]) == ("completed", "chain")
    assert len(world.payments) == 1


def test_an_expired_payment_that_the_chain_never_saw_makes_way_for_a_new_one(world: World) -> None:
    world.paid = dropped
    refused(world)
    world.paid = None
    edit(records()[0], valid_before=int(time.time()) - 3600)
    assert buy(world) == {"data": 1}
    assert len(set(world.nonces)) == 2
    assert [record.state for record in records()] == ["failed", "completed"]


def test_an_unresolved_payment_is_not_replaced_while_the_chain_is_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.paid = dropped
    refused(world)
    edit(records()[0], valid_before=int(time.time()) - 3600)
    monkeypatch.setattr("run402_cli.client.payments.chain.authorization_fate", lambda *_, **__: Fate.UNKNOWN)
    assert refused(world).code == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    assert len(world.payments) == 1


def test_a_price_that_changed_after_a_lost_answer_is_not_paid(world: World) -> None:
    world.paid = dropped
    refused(world)
    world.offers = [offer(amount="40000")]
    assert refused(world).code == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    assert len(world.payments) == 1


@pytest.mark.parametrize("status", [402, 500, 302])
def test_any_other_answer_to_the_payment_is_final_and_ambiguous(world: World, status: int) -> None:
    higher = encode(challenge(URL, offer(amount="90000")))
    headers = {"PAYMENT-REQUIRED": higher, "location": "http://evil.test/"}
    world.paid = lambda _: httpx.Response(status, headers=headers, json={"code": "SELLER_CODE"})
    error = refused(world)
    assert error.code == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    assert (error.details["response_status"], error.details["upstream_code"]) == (status, "SELLER_CODE")
    assert len(world.payments) == 1
    assert {request.url.host for request in world.seen if "payment-signature" in request.headers} == {"gateway.test"}


def test_the_same_idempotency_key_never_pays_twice(world: World) -> None:
    buy(world, "order-1")
    buy(world, "order-1")
    assert len(set(world.nonces)) == 1
    edit(records()[0], valid_before=int(time.time()) - 10)
    assert refused(world, "order-1").code == "PAYMENT_ALREADY_MADE"
    buy(world, "order-2")
    assert len(set(world.nonces)) == 2


def test_a_repeated_command_without_a_key_is_a_new_purchase(world: World) -> None:
    buy(world)
    buy(world)
    assert len(set(world.nonces)) == 2


def test_a_wallet_file_whose_address_is_not_its_keys_signs_nothing(world: World) -> None:
    wallet = {"address": "0x" + "11" * 20, "privateKey": PRIVATE_KEY}
    (current().dir / "allowance.json").write_text(json.dumps(wallet))
    error = refused(world)
    assert error.code == "X402_PAYMENT_SIGNING_FAILED"
    assert not world.payments


def test_no_error_shows_the_private_key(world: World) -> None:
    shown: list[str] = []
    situations: list[Callable[[], None]] = [
        lambda: setattr(world, "balances", {SEPOLIA: 0}),
        lambda: setattr(world, "balances", {SEPOLIA: None}),
        lambda: setattr(world, "offers", [offer(extra={})]),
        lambda: setattr(world, "paid", dropped),
        lambda: setattr(world, "paid", lambda _: httpx.Response(500, text="no")),
    ]
    for arrange in situations:
        world.__dict__.update(dataclasses.replace(World(URL)).__dict__)
        arrange()
        error = refused(world, f"key-{len(shown)}")
        chain = [repr(error), repr(error.__cause__), repr(error.__context__), json.dumps(error.envelope())]
        shown += [text.lower() for text in chain]
    assert len(shown) == 20
    assert not [text for text in shown if PRIVATE_KEY[2:].lower() in text]
