"""What the headers of a refusal tell: how long to wait, and whether this machine's clock is to blame."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from run402_cli.client.http import httpx

_BUSY = (429, 503)
# Signed requests are valid for minutes; half of that is never the clock's fault.
_SKEW_SECONDS = 120


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that a 429 or 503 asks to wait (Retry-After, seconds or a date), or None when it does not say."""
    value = response.headers.get("retry-after", "").strip()
    if response.status_code not in _BUSY or not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _seconds(value)
    if until is None:
        return None
    # Against the gateway's own clock: ours may be wrong.
    now = _seconds(response.headers.get("date", ""))
    return max(0.0, until - (time.time() if now is None else now))


# What an envelope tells its reader to do. Only the gateway and this program say that, no function and no seller.
_ADVICE = ("hint", "fix", "next_action", "next_actions", "docs", "retryable", "safe_to_retry", "mutation_state")


def without_advice(body: Any) -> Any:
    """The error of a function or a seller: its members are merged into the envelope, without advice; `body` is all it said."""
    if not isinstance(body, dict):
        return body
    return {**{key: value for key, value in body.items() if key not in _ADVICE}, "body": body}


def price_hint(response: httpx.Response, *, priced: bool) -> str | None:
    """What to say when money is asked for a call that has no price."""
    if response.status_code != 402 or priced:
        return None
    from run402_cli.client.payments import challenge

    if not challenge.carries_challenge(response):
        return None
    return (
        "Nothing was signed: this call has no price, and only calls that have one are paid. "
        "Look at the gateway that asks: run402 status"
    )


def clock_hint(response: httpx.Response) -> str | None:
    """For a 401 to a signed request: a sentence when this machine's clock differs from the gateway's by minutes."""
    theirs = _seconds(response.headers.get("date", "")) if response.status_code == 401 else None
    if theirs is None or "SIGN-IN-WITH-X" not in response.request.headers:
        return None
    skew = time.time() - theirs
    if abs(skew) < _SKEW_SECONDS:
        return None
    direction = "ahead of" if skew > 0 else "behind"
    return (
        f"This machine's clock is {abs(skew) / 60:.0f} minutes {direction} the gateway's, and signed requests are only "
        "valid for minutes. Set the clock, then repeat the command."
    )


def _seconds(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # drags half of email in, and most answers name no time

    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
