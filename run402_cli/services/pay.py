"""One HTTP request that may cost money, to anybody. See docs/payments.md, "run402 pay"."""

from __future__ import annotations

import contextlib
from typing import Any

from run402_cli import exact_json, secrecy
from run402_cli.client import Client, bounded, response_hints
from run402_cli.client.http import httpx
from run402_cli.client.transport import reason
from run402_cli.errors import ApiError, FlagError, UsageError
from run402_cli.state.files import now_iso

SCHEMA = "x402-commerce-result.v1"
_CONTEXT = "calling the priced URL"
_MAX_REPLAY_BODY = 1_000_000


def pay(
    client: Client,
    url: str,
    *,
    method: str = "GET",
    body: str | None = None,
    max_usd_micros: int = 100_000,
    idempotency_key: str | None = None,
    require_receipt: bool = False,
) -> dict[str, Any]:
    """{METHOD} url without credentials; a 402 is paid once when it asks for at most `max_usd_micros`.

    Returns {schema_version, http_status, body, payment: {...} | None, outcome: paid | not_paid, replay, next_actions}, also
    for a 404 or 500 that was not paid for. Raises PaymentError (docs/payments.md, "Faults"), ApiError for a 402 without a
    challenge, NetworkError.
    """
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else {}
    if body is not None:
        headers["Content-Type"] = "application/json" if _parses(body) else "text/plain; charset=utf-8"
    try:
        target = httpx.URL(url)
        target = target.copy_with(fragment=None, raw_path=target.raw_path)  # a bare host gets its "/"
        request = client.http.build_request(method, target, content=body, headers=headers)
    except httpx.InvalidURL as exc:
        raise UsageError(f"{url!r} cannot be called: {exc}.", details={"url": url}) from exc
    except UnicodeEncodeError as exc:
        raise FlagError("--idempotency-key holds a character that HTTP cannot carry.") from exc
    asked_at = now_iso()
    response = _first(client, request)
    if response.status_code != 402:
        return _unpaid(response, keyed=idempotency_key is not None)
    return _bought(client, request, response, asked_at, max_usd_micros, require_receipt)


def _parses(text: str) -> bool:
    try:
        exact_json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _first(client: Client, request: httpx.Request) -> httpx.Response:
    from run402_cli.client.payments import challenge

    try:
        response = client.http.send(request, stream=True)
        if response.status_code == 402:
            return challenge.read_402(response)
        try:
            response.read()
        finally:
            response.close()
        return response
    except httpx.LocalProtocolError:
        raise FlagError("A header or the method holds a character that HTTP cannot carry.") from None
    except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError) as exc:
        read = request.method in ("GET", "HEAD", "OPTIONS")
        raise bounded.failure(exc, f"No answer from {request.url.host}: {reason(exc)}", read=read) from exc


def _bought(
    client: Client,
    request: httpx.Request,
    response: httpx.Response,
    asked_at: str,
    max_usd_micros: int,
    require_receipt: bool,
) -> dict[str, Any]:
    from run402_cli.client.payments import challenge

    if not challenge.carries_challenge(response):
        raise ApiError(402, response_hints.without_advice(_body(response)["body"]), context=_CONTEXT)
    from run402_cli.client.payments import errors, gateway, purchase

    wallet = client.profile.allowance
    if wallet is None:
        raise purchase.unfunded("there is no wallet", challenge_networks=_networks(response))
    if wallet.rail == "mpp":
        details = {"funds_moved": False, "challenge_networks": _networks(response)}
        raise errors.rail_unsupported(details)
    unpaid = gateway.Unpaid(request, response, asked_at, "pay", max_usd_micros, client.budget)
    payment = purchase.BuyerPayment(
        client.http,
        client.profile,
        wallet,
        unpaid,
        require_receipt=require_receipt,
    )
    paid = gateway.settle(payment)
    headers = purchase.run402_headers(paid)
    if payment.settled_before:
        return _result(paid, None, replay=True)
    return _result(
        paid, _evidence(payment, headers, secrecy.without_userinfo(str(request.url))), replay=_replayed(headers)
    )


def _networks(response: httpx.Response) -> list[str]:
    from run402_cli.client.payments import challenge, x402

    try:
        if challenge.CHALLENGE in response.headers:
            return x402.parse_header(response.headers[challenge.CHALLENGE], url_safe=True).networks
        return x402.parse_body(challenge.v1_body(response)).networks
    except x402.ChallengeError:
        return []


def _replayed(headers: dict[str, Any]) -> bool:
    return headers.get("delivery") == "replay" or headers.get("deduplicated") is True


def _evidence(payment: Any, headers: dict[str, Any], url: str) -> dict[str, Any]:
    """The `payment` object. Signed offers and merchant receipts are not verified here, so none ever counts as verified."""
    receipt, offer = payment.receipt, payment.signed.requirement
    extensions = receipt.extensions if isinstance(receipt.extensions, dict) else {}
    merchant = "untrusted" if "offer-receipt" in extensions else "absent"
    return {
        "payment_id": headers.get("payment_id"),
        "amount_usd_micros": offer.amount,
        "asset": offer.asset,
        "network": receipt.network,
        "payer": receipt.payer,
        "pay_to": offer.pay_to,
        "transaction": receipt.transaction,
        "resource_url": url,
        "settlement": {"status": "verified"},
        "funds_moved": _moved(payment, headers),
        "deduplicated": headers.get("deduplicated", False),
        "delivery": {"status": "fulfilled", "replay": _replayed(headers)},
        "offer": {"status": "absent", "resource_url": None, "valid_until": None},
        "merchant_receipt": {"status": merchant, "claim": None, "issued_at": None},
        "signer_relationship": {
            "kind": None,
            "merchant_root": None,
            "signer": None,
            "authorization_expires_at": None,
        },
        "policy": {"require_receipt": False, "status": "not_required"},
        "evidence": {"offer": None, "merchant_receipt": None, "signer_authorization": None},
    }


def _moved(payment: Any, headers: dict[str, Any]) -> Any:
    """Whether this payment moved money. The seller's no is its word only, unless no chain was to be told."""
    said = headers.get("funds_moved", True)
    local = payment.on_this_machine and payment.signed.requirement.settles_locally
    return "unknown" if said is False and not local else said


def _unpaid(response: httpx.Response, *, keyed: bool) -> dict[str, Any]:
    flag = response.headers.get("x-run402-payment-deduplicated")
    if flag in ("true", "false"):
        replay = flag == "true"
    else:
        body = _body(response)["body"] if keyed and len(response.content) <= _MAX_REPLAY_BODY else None
        replay = isinstance(body, dict) and body.get("deduplicated") is True
    return _result(response, None, replay=replay)


def _result(response: httpx.Response, payment: dict[str, Any] | None, *, replay: bool) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA,
        "http_status": response.status_code,
        **_body(response),
        "payment": payment,
        "outcome": "paid" if payment is not None else "not_paid",
        "replay": replay,
        "next_actions": [],
    }


def _body(response: httpx.Response) -> dict[str, Any]:
    """`body`: JSON when it says so and parses, else the text; None when empty. Bytes in base64, with `body_encoding`."""
    if not response.content:
        return {"body": None}
    if "json" in response.headers.get("content-type", "").lower():
        with contextlib.suppress(ValueError, RecursionError):
            return {"body": exact_json.loads(response.content)}
    text = bounded.text_of(response)
    return {"body": text} if text is not None else bounded.encoded(response)
