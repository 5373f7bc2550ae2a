"""payment-limits.json: what the wallet may spend, checked before anything is signed. See docs/payments.md, "Limits"."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from run402_cli.global_options import about_to_write
from run402_cli.state.catalogue import LIMITS
from run402_cli.state.files import now_iso, read_state, rewritten, write_json

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


def limits_path(folder: Path) -> Path:
    return folder / "payment-limits.json"


def load_limits(folder: Path) -> Limits:
    """The wallet's limits. DamagedState (BAD_ENV) when the file cannot be read: then nothing is paid."""
    value = read_state(limits_path(folder), LIMITS) or {}
    return Limits(value.get("per_payment_usd_micros"), value.get("per_day_usd_micros"))


def save_limits(folder: Path, limits: Limits) -> None:
    """Replace the limits (0600)."""
    fields = {
        "version": 1,
        "per_payment_usd_micros": limits.per_payment,
        "per_day_usd_micros": limits.per_day,
        "updated_at": now_iso(),
    }
    path = limits_path(folder)
    write_json(path, rewritten(path, LIMITS, fields), temp=".payment-limits")


def clear_limits(folder: Path) -> bool:
    """Remove the limits; False when there were none. A damaged file is left in place: DamagedState."""
    load_limits(folder)
    about_to_write(limits_path(folder))
    try:
        limits_path(folder).unlink()
    except FileNotFoundError:
        return False
    return True
