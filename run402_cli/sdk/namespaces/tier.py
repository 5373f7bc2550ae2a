"""The plan that the wallet's organization pays for.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import tier as _tier

if TYPE_CHECKING:
    from typing import Any


class Tier(Namespace[None]):
    """The plan that the wallet's organization pays for."""

    def status(self) -> Any:
        """Current tier, lease, limits and pooled usage.

        GET /tiers/v1/status -> {tier, active, lease_expires_at, organization_lifecycle_state, pool_usage, ...}.
        """
        return self._call(_tier.status)

    def set(self, tier: str, *, idempotency_key: str | None = None) -> Any:
        """Subscribe, renew or upgrade: prototype, hobby or team.

        POST /tiers/v1/{tier} {} -> {tier, action, lease_expires_at, ...}; a price is charged to the payer's wallet.

        Raises ApiError PAYMENT_REQUIRED (402) with the price in its body when nobody paid.
        """
        return self._call(_tier.set_tier, tier, idempotency_key=idempotency_key)
