"""The organization's tier. See docs/protocol/payments.md."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, segment
from run402_cli.errors import Run402Error
from run402_cli.services import prices

RANKS = {"prototype": 1, "hobby": 2, "team": 3}


def status(client: Client) -> Any:
    """GET /tiers/v1/status -> {tier, active, lease_expires_at, organization_lifecycle_state, pool_usage, ...}."""
    return client.request("GET", "/tiers/v1/status", context="reading the tier", auth=client.principal())


def set_tier(client: Client, tier: str, *, idempotency_key: str | None = None) -> Any:
    """POST /tiers/v1/{tier} {} -> {tier, action, lease_expires_at, ...}; a price is charged to the payer's wallet.

    Raises ApiError PAYMENT_REQUIRED (402) with the price in its body when nobody paid.
    """
    return client.request(
        "POST",
        f"/tiers/v1/{segment(tier)}",
        context="setting the tier",
        auth=client.principal(),
        body={},
        headers={"Idempotency-Key": idempotency_key} if idempotency_key else None,
        priced=prices.of_tier(tier),
    )


def covers(answer: Any, tier: str) -> bool:
    """Whether a tier status says that an active tier at least as high as `tier` is there."""
    if not isinstance(answer, dict) or answer.get("active") is not True:
        return False
    return RANKS.get(str(answer.get("tier")), 0) >= RANKS[tier]


def subscribe(client: Client, tier: str, *, idempotency_key: str | None = None) -> Any:
    """`set_tier`, then the tier status as `status_after`; a status that cannot be read is left out."""
    answer = set_tier(client, tier, idempotency_key=idempotency_key)
    if not isinstance(answer, dict):
        return answer
    try:
        return {**answer, "status_after": status(client)}
    except Run402Error:
        return answer
