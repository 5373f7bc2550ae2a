"""Tiers on a gateway that charges: buying one is the shortest way to try a payment. Nothing depends on the tier bought.

See docs/local-gateway.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers import payment_rows, payments, siwx
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web.http import reply
from run402_cli.core.web.instants import iso

# USD micros and lease, from small to large.
TIERS: Final = {
    "prototype": (100_000, timedelta(days=7)),
    "hobby": (5_000_000, timedelta(days=30)),
    "team": (20_000_000, timedelta(days=30)),
}
_ORDER = tuple(TIERS)


async def set_tier(request: Request) -> Response:
    """POST /tiers/v1/{tier}: a lease for the caller's wallet, for its price. A repeat answers the same and costs nothing.

    `{wallet, action, tier, previous_tier, lease_started_at, lease_expires_at, allowance_remaining_usd_micros}`. Errors: 401
    authentication_required without a wallet; 402; 404 tier_not_found; 409 tier_downgrade; 422 unsupported_capability on a
    gateway that does not charge. docs/local-gateway.md
    """
    if not payments.required(request):
        raise GatewayError(
            422,
            "unsupported_capability",
            "This gateway has one free tier and sells none. Select the cloud with `run402 init` to buy one; to try a "
            "payment here: `run402 core stop`, then `run402 core start --require-payment`.",
            capability="billing.tiers",
        )
    wallet, tier = _wallet(), _tier(request)
    price, purpose = TIERS[tier][0], f"Tier {tier}"
    payment = payments.presented(request, price, purpose)
    key = payments.purchase_key(request, payment, purpose)
    async with gateway_of(request).connection() as conn, conn.transaction():
        await payment_rows.lock_tier(conn, wallet)
        earlier = await _answered(conn, key, tier) if key else None
        former = await payment_rows.lease(conn, wallet)
        if earlier is None:
            _refuse_downgrade(former, tier)
            await payments.count(conn, request, payment, price, purpose)
        answer = earlier or await _grant(conn, wallet, tier, former, key)
        counts = payment is not None and await payments.counted(conn, payment)
    receipt = payment.receipt(first=earlier is None) if payment is not None and counts else None
    return reply(answer, headers=receipt)


def _wallet() -> str:
    wallet = siwx.caller.get()
    if wallet is None:
        raise GatewayError(
            401,
            "authentication_required",
            "A tier belongs to a wallet, and this request was not signed by one. Run: run402 init",
            next_actions=[run_command("init")],
        )
    return wallet


def _tier(request: Request) -> str:
    tier: str = request.path_params["tier"]
    if tier not in TIERS:
        message = f"There is no tier {tier!r}; there are {', '.join(TIERS)}."
        raise GatewayError(404, "tier_not_found", message)
    return tier


def _refuse_downgrade(former: tuple[str, datetime, datetime] | None, tier: str) -> None:
    if former is not None and _ORDER.index(former[0]) > _ORDER.index(tier):
        raise GatewayError(
            409,
            "tier_downgrade",
            f"This wallet has the tier {former[0]} until {iso(former[2])}; a smaller one can be set when it has ended.",
        )


async def _answered(conn: Connection, key: str, tier: str) -> dict[str, Any] | None:
    answer = await payment_rows.purchase(conn, key)
    if answer is not None and answer["tier"] != tier:
        raise GatewayError(
            409,
            "idempotency_key_conflict",
            f"This Idempotency-Key already bought the tier {answer['tier']}. Use another: "
            f"{advice.command('tier', 'set', tier, '--idempotency-key', advice.Blank('new key'))}",
        )
    return answer


async def _grant(
    conn: Connection, wallet: str, tier: str, former: tuple[str, datetime, datetime] | None, key: str | None
) -> dict[str, Any]:
    now = datetime.now(UTC)
    renewed = former is not None and former[0] == tier
    start = former[1] if former is not None and renewed else now
    end = (former[2] if former is not None and renewed else now) + TIERS[tier][1]
    await payment_rows.set_lease(conn, wallet, tier, start, end)
    answer = {
        "wallet": wallet,
        "action": "renew" if renewed else "subscribe" if former is None else "upgrade",
        "tier": tier,
        "previous_tier": former[0] if former is not None else None,
        "lease_started_at": iso(start),
        "lease_expires_at": iso(end),
        "allowance_remaining_usd_micros": 0,
    }
    if key:
        await payment_rows.remember_purchase(conn, key, answer)
    return answer
