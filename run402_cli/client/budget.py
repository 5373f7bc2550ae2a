"""What the payments of one command may cost together. See docs/payments.md, "Limits"."""

from __future__ import annotations

import math

from run402_cli.errors import FlagError

FLAG = "--max-spend-usd"


class Budget:
    """`limit` and what was signed of it, in micro-USD. What was signed counts, whatever becomes of it; a payment that is
    presented again counts once.

    FlagError for an amount that is no number of 0 or more.
    """

    def __init__(self, usd: float) -> None:
        if not 0 <= usd < math.inf:
            raise FlagError(
                f"{FLAG} takes US dollars, 0 or more, not {usd!r}.", details={"flag": FLAG, "value": str(usd)}
            )
        self.limit = math.floor(round(usd * 1_000_000, 3))
        self._signed: dict[str, int] = {}

    def signed(self, *, but: str | None = None) -> int:
        """What all payments are worth, without that of one attempt."""
        return sum(amount for attempt_id, amount in self._signed.items() if attempt_id != but)

    def count(self, attempt_id: str, amount: int) -> None:
        """Call before the payment of an attempt is signed."""
        self._signed[attempt_id] = amount
