"""What a call may cost at most, in micro-USD: the one table. See docs/payments.md, "What a call may cost".

More is paid with --max-usd only. Who calls a service has no other say, so that commands, tools and Python pay alike.
"""

from __future__ import annotations

TIERS = {"prototype": 100_000, "hobby": 5_000_000, "team": 20_000_000}
IMAGE = 30_000
# The credit that a new one wants to see: 30 days at 0.04 USD.
SIGNER = 1_200_000
# No price is published, only whoever asks knows it: as much as `pay` pays to a stranger.
UNPUBLISHED = 100_000


def of_tier(tier: str) -> int:
    """The price of a tier, and of a project of it. 0 for a tier that has none: the service says whether it exists."""
    return TIERS.get(tier.strip().lower(), 0)
