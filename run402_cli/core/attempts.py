"""How often somebody may be wrong: passwords, codes and links, for one account from one address, and from one address.

Kept in memory: a restart, which takes the gateway's own user, forgets them. Whether an account is there makes no difference.
See docs/local-gateway-users.md, "Wrong passwords and codes".
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass

from run402_cli.core.errors import GatewayError

WINDOW_SECONDS = 15 * 60
OF_ACCOUNT = 10
OF_ADDRESS = 100
# Each takes some hundred bytes; beyond this the oldest is forgotten.
MAX_KEPT = 20_000
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guesser:
    """Who tries to get in: at one project, from one address of the network."""

    project_id: str
    address: str

    def account(self, email: str) -> Key:
        return (self.project_id, self.address, email)

    @property
    def everything(self) -> Key:
        return (self.project_id, self.address)


class Attempts:
    """The wrong tries of the last quarter of an hour."""

    def __init__(self) -> None:
        self._times: OrderedDict[Key, deque[float]] = OrderedDict()

    def begin(self, who: Guesser, email: str | None = None) -> None:
        """Count a try as wrong before it is looked at, so that a hundred at once are counted too. 429 rate_limited."""
        now = time.monotonic()
        wanted = {who.everything: OF_ADDRESS}
        if email is not None:
            wanted[who.account(email)] = OF_ACCOUNT
        for key, limit in wanted.items():
            times = self._of(key, now)
            if len(times) >= limit:
                raise _too_many(key, limit, max(1, round(times[0] + WINDOW_SECONDS - now)))
        for key in wanted:
            self._times.setdefault(key, deque()).append(now)
            self._times.move_to_end(key)
        while len(self._times) > MAX_KEPT:
            self._times.popitem(last=False)

    def right(self, who: Guesser, email: str, *, begun: bool = True) -> None:
        """The account's owner is here: what was wrong for it from this address is forgotten. `begun`: this try was counted."""
        self._times.pop(who.account(email), None)
        if begun and (times := self._times.get(who.everything)):
            times.pop()

    def forget(self) -> None:
        self._times.clear()

    def _of(self, key: Key, now: float) -> deque[float]:
        times = self._times.get(key)
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if times is not None and not times:
            del self._times[key]
        return times or deque()


def _too_many(key: Key, limit: int, wait: int) -> GatewayError:
    which = "for this account from this address" if len(key) == 3 else "from this address"
    return GatewayError(
        429,
        "rate_limited",
        f"{limit} wrong passwords, codes or links were sent {which} within {WINDOW_SECONDS // 60} minutes. Wait {wait} "
        "seconds, or sign in with the newest mailed link, which always works: POST /auth/v1/magic-link.",
        code="R402_AUTH_RATE_LIMITED",
        retryable=True,
        retry_after_seconds=wait,
    )
