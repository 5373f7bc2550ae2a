"""How the person whose gateway this is comes to its pages in a browser, which knows no token.

The command `run402 open`, which holds the token, fetches a ticket. It opens once, soon, and becomes a pass, which stands in
the address of every page: a cookie would also go to the programs of others that listen on this host. Kept in memory, as
digests: a restart ends both. See docs/local-gateway.md, "The console".
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

TICKET_SECONDS = 10 * 60
PASS_SECONDS = 12 * 60 * 60
MAX_KEPT = 100


class Tickets:
    """The tickets and passes that hold."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tickets: OrderedDict[bytes, float] = OrderedDict()
        self._passes: OrderedDict[bytes, float] = OrderedDict()

    def issue(self) -> str:
        return self._new(self._tickets, TICKET_SECONDS)

    def redeem(self, ticket: str) -> str | None:
        """A pass for a ticket, which is used up; None for one that is not good, or not any more."""
        ends = self._tickets.pop(_digest(ticket), 0.0)
        return self._new(self._passes, PASS_SECONDS) if ends > self._clock() else None

    def admits(self, given: str) -> bool:
        return self._passes.get(_digest(given), 0.0) > self._clock()

    def _new(self, kept: OrderedDict[bytes, float], seconds: int) -> str:
        made = secrets.token_urlsafe(32)
        kept[_digest(made)] = self._clock() + seconds
        while len(kept) > MAX_KEPT:
            kept.popitem(last=False)
        return made


def _digest(text: str) -> bytes:
    # Found by its digest: the time of the look-up tells nothing about the text.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
