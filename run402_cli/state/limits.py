"""payment-limits.json: what a key may spend, checked before anything is signed. See docs/payments.md, "Limits".

It lies at the address of the key, the same for all names of it. Older versions had one for each name: until the limits of the
address are set, the strictest of those hold. They are left in place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from run402_cli.state.allowance import Payer
from run402_cli.state.catalogue import LIMITS, NAMED_LIMITS
from run402_cli.state.files import DamagedState, make_private_dir, now_iso, read_state, rewritten, write_json

# Until the user says otherwise: well above the highest price that Run402 publishes, well below a wallet's ruin.
DEFAULT_PER_PAYMENT = DEFAULT_PER_DAY = 50_000_000


class Limits(NamedTuple):
    """USD micros; None means that the user set no such limit, so that the built-in one holds. A day is the last 24 hours."""

    per_payment: int | None = None
    per_day: int | None = None

    def to_json(self) -> dict[str, Any]:
        """What `allowance limits` prints."""
        return {
            "per_payment_usd_micros": DEFAULT_PER_PAYMENT if self.per_payment is None else self.per_payment,
            "per_payment_source": "default" if self.per_payment is None else "user",
            "per_day_usd_micros": DEFAULT_PER_DAY if self.per_day is None else self.per_day,
            "per_day_source": "default" if self.per_day is None else "user",
        }


def limits_path(payer: Payer) -> Path:
    """The file that the next change writes."""
    return payer.shared / NAMED_LIMITS.name


def require_readable(payer: Payer) -> None:
    """A quick look before the first request: DamagedState when the file of the address, or of this name, is damaged."""
    if _read(limits_path(payer)) is None:
        _read(payer.folder / NAMED_LIMITS.name)


def load_limits(payer: Payer) -> Limits:
    """The limits in force. DamagedState (BAD_ENV) when a file of them cannot be read: then nothing is paid."""
    return limits_from(payer)[0]


def limits_from(payer: Payer) -> tuple[Limits, Path | None]:
    """The limits in force, and the file that says so: the first one where several names still have their own."""
    path = limits_path(payer)
    found = _read(path)
    if found is not None:
        return found, path
    paths = [folder / path.name for folder in payer.folders()]
    named = [(_read(path), path) for path in paths if os.path.lexists(path) and payer.keeps(path.parent)]
    limits = [limits for limits, _ in named if limits is not None]
    strictest = Limits(_least(each.per_payment for each in limits), _least(each.per_day for each in limits))
    return strictest, named[0][1] if named else None


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _read(path: Path) -> Limits | None:
    value = read_state(path, LIMITS)
    return None if value is None else Limits(value.get("per_payment_usd_micros"), value.get("per_day_usd_micros"))


def save_limits(payer: Payer, limits: Limits) -> None:
    """Replace the limits (0600)."""
    fields = {
        "version": 1,
        "per_payment_usd_micros": limits.per_payment,
        "per_day_usd_micros": limits.per_day,
        "updated_at": now_iso(),
    }
    path = limits_path(payer)
    write_json(path, rewritten(path, LIMITS, fields), temp=".payment-limits")


def clear_limits(payer: Payer) -> bool:
    """Let the built-in limits hold again; False when they did. A damaged file is left in place: DamagedState."""
    if load_limits(payer) == Limits():
        return False
    save_limits(payer, Limits())  # not removed: files of names would count again
    return True


def keep_limits(payer: Payer) -> None:
    """Before the directory of a name is removed: what it says goes on holding for the address."""
    old, path = payer.folder / NAMED_LIMITS.name, limits_path(payer)
    if payer.address is None or os.path.lexists(path) or not os.path.lexists(old):
        return
    try:
        save_limits(payer, load_limits(payer))
    except DamagedState:
        make_private_dir(path.parent)
        old.replace(path)  # damaged as before: nothing is paid until it is repaired
